"""Probes of single arrays and of whole blocks, by their names, in the user's own parameters."""

import itertools
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _tree
from .._types import Parameters
from ..moment import Moment
from .heads import effective_rank
from .probe import Probe

Side = Literal["output", "input"]


class _Norm(eqx.Module):
    name: str = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, ""]:
        return _tree.norm(_arrays(as_made(moment, self.name), self.name))


class _Rank(eqx.Module):
    name: str = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, ""]:
        matrix = _matrix(as_made(moment, self.name), self.name, "the effective rank")
        return effective_rank(jnp.linalg.svd(matrix, compute_uv=False))


class _SingularValues(eqx.Module):
    names: tuple[str, ...] = eqx.field(static=True)
    count: int | None = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, " modes"]:
        product = self._factor(moment, self.names[0])
        for before, name in itertools.pairwise(self.names):
            factor = self._factor(moment, name)
            if product.shape[1] != len(factor):
                raise ValueError(
                    f"{before} has {product.shape[1]} columns and {name} {len(factor)} rows: their product needs as "
                    "many; name.T is the transpose."
                )
            product = product @ factor
        return jnp.linalg.svd(product, compute_uv=False)[: self.count]

    def _factor(self, moment: Moment, name: str) -> Float[Array, "rows columns"]:
        matrix = _matrix(as_made(moment, name), name.removesuffix(".T"), "a product of matrices")
        return matrix.T if name.endswith(".T") else matrix


class _Subspaces(eqx.Module):
    of: str = eqx.field(static=True)
    to: str | None = eqx.field(static=True)
    rank: int = eqx.field(static=True)
    sides: tuple[Side, Side] = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, ""]:
        parameters = as_made(moment, self.of)
        others = moment.lift.original.parameters if self.to is None else parameters
        first = self._basis(parameters, self.of, self.sides[0])
        second = self._basis(others, self.to or self.of, self.sides[1])
        if len(first) != len(second):
            raise ValueError(
                f"the {self.sides[0]} side of {self.of} has {len(first)} dimensions, the {self.sides[1]} side of "
                f"{self.to or self.of} {len(second)}: take other sides."
            )
        return jnp.sum((first.T @ second) ** 2) / self.rank

    def _basis(self, parameters: Parameters, name: str, side: Side) -> Float[Array, "side rank"]:
        matrix = _matrix(parameters, name, "a subspace")
        if self.rank > min(matrix.shape):
            raise ValueError(f"{name} of shape {matrix.shape} has no {self.rank} singular vectors: lower rank.")
        left, _, right = jnp.linalg.svd(matrix, full_matrices=False)
        return left[:, : self.rank] if side == "output" else right[: self.rank].T


def as_made(moment: Moment, wanted: str) -> Parameters:
    """The parameters as the user made them, for a probe of single arrays."""
    lift = moment.lift
    if not lift.recoverable:
        raise ValueError(f"{wanted} cannot be had from inner products: use another reduction (auto, rotation, none).")
    return moment.parameters if lift.lift is None else lift.lift(moment.parameters)


def numbers(parameters: Parameters, name: str) -> list[int]:
    """Which leaves are the trained arrays of this name, or below it."""
    paths = _tree.paths(parameters)
    found = [i for i, path in enumerate(paths) if path == name or path.startswith(f"{name}.")]
    if not found:
        listed = ", ".join(paths[:12]) + ", …" * (len(paths) > 12)
        raise ValueError(f"{name!r} names no trained array; they are {listed}.")
    return found


def _arrays(parameters: Parameters, name: str) -> list[Array]:
    leaves = jax.tree.leaves(parameters)
    return [leaves[i] for i in numbers(parameters, name)]


def _matrix(parameters: Parameters, name: str, what: str) -> Float[Array, "outputs inputs"]:
    found = _arrays(parameters, name)
    if len(found) != 1 or found[0].ndim != 2:
        raise ValueError(f"{name} is not a single matrix: {what} needs the name of one.")
    return found[0]


def norm(name: str) -> Probe:
    """Euclidean norm of a trained array, or of all arrays of a block together: `norm_<name>(time)`, a dot written `_`.

    **Arguments:** `name`: `W_K` is one array, `blocks.0` everything in the first block, as in `flows.time_scales`.

    **Raises:** `ValueError` at the start of a run for a name that fits nothing.
    """
    return Probe(f"norm_{variable(name)}", (), f"norm of {name}", "1", _Norm(name))


def rank(name: str) -> Probe:
    """Effective rank (see `effective_rank`) of a trained matrix: `rank_<name>(time)`, a dot written `_`.

    **Arguments:** `name`: of one matrix, `W_V` or `blocks.0.heads.0.W_V`.

    **Raises:** `ValueError` at the start of a run for a name of anything else.
    """
    return Probe(f"rank_{variable(name)}", (), f"effective rank of {name}", "1", _Rank(name))


def singular_values(*names: str, count: int | None = None) -> Probe:
    """Singular values of a product of trained matrices, largest first: `singular_values_<names>(time, mode_<names>)`.

    `singular_values("W_K.T", "W_Q")` is of W_Kᵀ W_Q, in `singular_values_W_K_T_W_Q`.

    **Arguments:** `names`: of the factors from left to right, at least one; `.T` after a name for the transpose.
    `count`: how many; all if not given.

    **Raises:** `ValueError` without a name or for a count below 1; at the start of a run for a name of no matrix, and
    for factors that do not fit each other.
    """
    if not names:
        raise ValueError("singular_values needs the name of at least one matrix.")
    if count is not None and count < 1:
        raise ValueError(f"count must be at least 1, got {count}.")
    name = "_".join(variable(each) for each in names)
    text = f"singular values of {' '.join(names)}"
    return Probe(f"singular_values_{name}", (f"mode_{name}",), text, "1", _SingularValues(names, count))


def subspace_alignment(
    of: str, to: str | None = None, *, rank: int = 1, sides: tuple[Side, Side] | None = None
) -> Probe:
    """How far the leading singular subspaces of two trained matrices agree: `alignment_<of>_<to>(time)`.

    The mean of cos² over the principal angles between the spans of `rank` leading singular vectors each, ‖UᵀV‖²/rank:
    1 for the same subspace, 0 for orthogonal ones, about rank/dimension by chance. Layers that follow each other align
    the output side of the first with the input side of the second. Singular values `rank` and `rank` + 1 must
    differ, else the subspace is no function of the matrix.

    **Arguments:**

    - `of`, `to`: names of matrices, `W_V` or `blocks.0.W`; without `to` the matrix at t = 0: `alignment_<of>_start`.
    - `rank`: dimension of the subspaces, ≥ 1.
    - `sides`: of each matrix, `output` (left singular vectors) or `input` (right); by default the output side of `of`
      and the input side of `to`, and without `to` the output side of both.

    **Raises:** `ValueError` for a rank below 1 or unknown sides; at the start of a run for a name of no matrix, and for
    subspaces of spaces that differ in dimension.

    **Reference:** Björck and Golub (1973), Numerical methods for computing angles between linear subspaces; for layers
    Ji and Telgarsky (2019), Gradient descent aligns the layers of deep linear networks.
    """
    sides = sides or ("output", "output" if to is None else "input")
    if rank < 1:
        raise ValueError(f"rank must be at least 1, got {rank}.")
    if not set(sides) <= {"output", "input"}:
        raise ValueError(f"sides are 'output' or 'input', got {sides}.")
    name = f"alignment_{variable(of)}_{'start' if to is None else variable(to)}"
    other = "itself at t = 0" if to is None else f"the {sides[1]} side of {to}"
    text = f"alignment of the {rank}-dimensional {sides[0]} side of {of} with {other}"
    return Probe(name, (), text, "1", _Subspaces(of, to, rank, sides))


def variable(name: str) -> str:
    """The part of a variable's name that a parameter's name becomes."""
    return name.replace(".", "_")
