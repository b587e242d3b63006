"""Sharpness: the largest eigenvalues of the Hessian of the risk."""

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _tree
from .._types import Parameters, Risk
from ..moment import Moment
from .arrays import as_made, numbers, variable
from .probe import Probe

_STEPS = 24  # Hessian-vector products; the outermost eigenvalues settle first


class _Sharpness(eqx.Module):
    of: str | None = eqx.field(static=True)
    count: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, "..."]:
        risk, parameters = moment.lift.original.risk, as_made(moment, "sharpness")
        if self.of is not None:
            risk, parameters = _of_block(risk, parameters, self.of)
        found = largest_eigenvalues(risk, parameters, count=self.count, steps=self.steps)
        return found[0] if self.count == 1 else found


def _of_block(risk: Risk, parameters: Parameters, name: str) -> tuple[Risk, list[Array]]:
    """The risk as a function of the arrays of this name alone, and where they stand."""
    leaves, structure = jax.tree.flatten(parameters)
    block = numbers(parameters, name)

    def restricted(arrays):
        mine = dict(zip(block, arrays, strict=True))
        return risk(structure.unflatten([mine.get(i, leaf) for i, leaf in enumerate(leaves)]))

    return restricted, [leaves[i] for i in block]


def sharpness(count: int = 1, *, of: str | None = None, steps: int = _STEPS) -> Probe:
    """The `count` largest eigenvalues of the Hessian of the risk, in the user's own parameters.

    Gradient descent of learning rate η is stable along the flow while η · sharpness < 2.

    Lanczos' method with full reorthogonalisation, from a fixed random start: a lower bound of each eigenvalue, which
    more `steps` raise to it. A saved time costs `steps` Hessian-vector products, about twice as many gradients.

    **Arguments:**

    - `count`: how many; with 1 the variable is `sharpness(time)`, else `sharpness(time, eigenvalue)`.
    - `of`: name of an array or a block, as for `norm`: the Hessian's diagonal block, with all else held still. The
      variable is `sharpness_<of>` then.
    - `steps`: Lanczos steps.

    **Raises:** `ValueError` for a count below 1 or above `steps`; at the start of a run for a name that fits nothing.
    """
    if not 1 <= count <= steps:
        raise ValueError(f"count must be from 1 to steps = {steps}, got {count}: raise steps.")
    values = "eigenvalue" if count == 1 else "eigenvalues"
    text = f"sharpness, the largest {values} of the Hessian of the training loss" + (f" in {of}" if of else "")
    dims = () if count == 1 else ("eigenvalue",)
    return Probe("sharpness" + (f"_{variable(of)}" if of else ""), dims, text, "1", _Sharpness(of, count, steps))


def largest_eigenvalues(risk: Risk, parameters: Parameters, *, count: int, steps: int) -> Float[Array, "count"]:
    """The largest eigenvalues of the Hessian of `risk`, in descending order."""
    flat, unravel = jax.flatten_util.ravel_pytree(parameters)
    steps = min(steps, _tree.size(parameters))
    gradient = jax.grad(lambda x: risk(unravel(x)))

    def product(v):
        return jax.jvp(gradient, (flat,), (v,))[1]

    start = jax.random.normal(jax.random.key(0), flat.shape, flat.dtype)

    def extend(k, loop):
        basis, matrix = loop
        image = product(basis[k])
        along = basis @ image
        rest = image - along @ basis
        again = basis @ rest  # once more: rounding has left some of the old directions in
        rest = rest - again @ basis
        size = jnp.linalg.norm(rest)
        # When nothing is left the space is used up: the rest of the matrix repeats a value inside the spectrum.
        enough = size > 10 * jnp.finfo(flat.dtype).eps * jnp.linalg.norm(image)
        basis = basis.at[k + 1].set(jnp.where(enough, rest / jnp.where(enough, size, 1), 0))
        row = jnp.where(jnp.any(basis[k] != 0), (along + again)[:steps], jnp.zeros(steps).at[k].set(matrix[0, 0]))
        return basis, matrix.at[k].set(row)

    basis = jnp.zeros((steps + 1, flat.size), flat.dtype).at[0].set(start / jnp.linalg.norm(start))
    _, matrix = jax.lax.fori_loop(0, steps, extend, (basis, jnp.zeros((steps, steps), flat.dtype)))
    # Row k holds ⟨basis_j, H basis_k⟩ of the j ≤ k that were known then.
    return jnp.linalg.eigvalsh(jnp.tril(matrix) + jnp.tril(matrix, -1).T)[::-1][:count]
