"""Sharpness: the largest eigenvalues of the Hessian of the risk."""

import equinox as eqx
import jax
from jaxtyping import Array, Float

from .._types import Parameters, Risk
from ..linalg import extremes, hessian_product
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

    Lanczos' method with full reorthogonalization, from a fixed random start: a lower bound of each eigenvalue, which
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
    product, flat = hessian_product(risk, parameters)
    start = jax.random.normal(jax.random.key(0), flat.shape, flat.dtype)
    return extremes(product, start, count=count, steps=steps).largest
