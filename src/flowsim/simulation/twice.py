"""Can a risk be differentiated twice, as methods for stiff flows do?"""

from typing import Any

import jax

from .. import _tree
from ..problem import Problem
from ..problem.gates import primitives

_ONCE = "custom_vjp"  # the only thing in JAX that has a gradient and may not have a second one
_LEFT = "custom_lin"  # the tangent of a function that has none, which a loop does not leave out
_KNOWN = _tree.Seen()


class OnceError(ValueError):
    """A risk that has a gradient, but no products of its Hessian with vectors."""


def check_twice(problem: Problem) -> None:
    """Shapes only, and once for each problem.

    **Raises:** `OnceError` with what JAX says.
    """
    _KNOWN.check(problem, lambda: _check(problem))


def _check(problem: Problem) -> None:
    program = jax.make_jaxpr(problem.risk)(problem.parameters)
    if not any(name.startswith(_ONCE) for name in primitives(program.jaxpr)):
        return

    def gradient(parameters: Any) -> Any:
        return problem.velocity(parameters)[0]

    try:
        products = jax.make_jaxpr(lambda p: jax.jvp(gradient, (p,), (p,))[1])(problem.parameters)
        reason = "its forward rule calls the function itself" if _LEFT in primitives(products.jaxpr) else ""
    except (TypeError, ValueError, NotImplementedError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
    if reason:
        raise OnceError(
            f"methods for stiff flows differentiate the risk twice, which a {_ONCE} in it forbids ({reason}): let its "
            "forward rule compute the value by other functions, or take solver dopri8, or kvaerno5"
        )
