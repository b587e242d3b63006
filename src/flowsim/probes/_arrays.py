"""Probes of single arrays and of whole blocks, by their names, in the user's own parameters."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _tree
from ..moment import Moment
from ._heads import effective_rank
from ._probe import Probe


class _Norm(eqx.Module):
    name: str = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, ""]:
        return _tree.norm(_named(moment, self.name))


class _Rank(eqx.Module):
    name: str = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, ""]:
        found = _named(moment, self.name)
        if len(found) != 1 or found[0].ndim != 2:
            raise ValueError(f"{self.name} is no single matrix: the effective rank needs the name of one.")
        return effective_rank(jnp.linalg.svd(found[0], compute_uv=False))


def _named(moment: Moment, name: str) -> list[Array]:
    """The trained arrays of this name, or below it."""
    lift = moment.lift
    if not lift.recoverable:
        raise ValueError(f"{name} cannot be had from inner products: use another reduction (auto, rotation, none).")
    parameters = moment.parameters if lift.lift is None else lift.lift(moment.parameters)
    paths = _tree.paths(parameters)
    leaves = jax.tree.leaves(parameters)
    found = [x for path, x in zip(paths, leaves, strict=True) if path == name or path.startswith(f"{name}.")]
    if not found:
        listed = ", ".join(paths[:12]) + ", …" * (len(paths) > 12)
        raise ValueError(f"{name!r} names no trained array; they are {listed}.")
    return found


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


def variable(name: str) -> str:
    """The part of a variable's name that a parameter's name becomes."""
    return name.replace(".", "_")
