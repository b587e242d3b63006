"""A method: a Diffrax solver with what the loop has to know of it."""

import functools
import math
from collections.abc import Callable

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .. import _tree
from .._vector import Vector


class Method(eqx.Module):
    """A solver, its step-size control, and the cost of a step.

    **Fields:**

    - `kind`: its name in an experiment file.
    - `solver`: a Diffrax solver.
    - `controller`: how steps are sized, or None for steps of `fixed_step`.
    - `fixed_step`: the step size of a fixed-step run, else None.
    - `evaluations`: `(state_before, state_after) -> int`, vector-field evaluations of one attempted step.
    - `beginning`: evaluations of the solver's `init`.
    - `states`: copies of a small state that a step holds, for planning memory.
    - `after_rejection`: `(state_before, attempted_state) -> state` with which the step is tried again.
    - `finish`: evaluations of the solver's method `finish`, which completes a step's dense output; None if every step
      gives it.
    - `compensated`: is the state an unevaluated sum of two numbers?
    - `radius`: `state -> ` the Jacobian's spectral radius as the solver last knew it; None for one that does not know.
    """

    kind: str = eqx.field(static=True)
    solver: diffrax.AbstractSolver
    controller: diffrax.PIDController | None
    fixed_step: Float[Array, ""] | None
    evaluations: Callable[[PyTree, PyTree], PyTree] = eqx.field(static=True)
    after_rejection: Callable[[PyTree, PyTree], PyTree] = eqx.field(static=True)
    radius: Callable[[PyTree], Array] | None = eqx.field(static=True, default=None)
    finish: int | None = eqx.field(static=True, default=None)
    beginning: int = eqx.field(static=True, default=1)
    states: int = eqx.field(static=True, default=24)
    compensated: bool = eqx.field(static=True, default=False)

    @property
    def in_place(self) -> bool:
        """Is little memory what the solver is for? Then the loop overwrites its state."""
        return getattr(self.solver, "in_place", False)

    def held(self, state: int) -> int:
        """Bytes that a step holds of a state of so many bytes."""
        states_of = getattr(self.solver, "states_of", None)
        return state * (self.states if states_of is None else states_of(state))

    @property
    def implicit(self) -> bool:
        """Does it solve equations in every step? What they take, it does not tell."""
        return isinstance(self.solver, diffrax.AbstractImplicitSolver)


def flow_rms(state: PyTree) -> Float[Array, ""]:
    """The norm of the error test: the largest root mean square of any array of the flow's own state.

    One mean over all entries would let a small array that moves (a readout vector, a bias) drown in a large one that
    hardly does. The integrals that are carried beside it are left out.
    """
    if isinstance(state.flow, Vector):
        found = state.flow.mean_squares()
        # XLA's maximum of an array may pass over what is not a number.
        return jnp.where(jnp.any(jnp.isnan(found)), jnp.nan, jnp.sqrt(jnp.max(found)))
    return functools.reduce(jnp.maximum, [_tree.rms(leaf) for leaf in jax.tree.leaves(state.flow)])


def error_norm(error: PyTree) -> Float[Array, ""]:
    """`flow_rms` of an error over its tolerance; infinite, which is too large, for one that is not a number."""
    norm = flow_rms(error)
    return jnp.where(jnp.isnan(norm), jnp.inf, norm)


def flow_weights(state: PyTree) -> PyTree:
    """1 for the flow's own state and 0 for the integrals that are carried beside it."""
    nothing = jax.tree.map(jnp.zeros_like, state)
    return eqx.tree_at(lambda s: s.flow, nothing, jax.tree.map(jnp.ones_like, state.flow))


def controller(rtol: float, atol: float, dtype) -> diffrax.PIDController:
    """Keep a step if its estimated local error, entry by entry over atol + rtol |y|, is below 1 in root mean square.

    Tolerances are arrays: Python floats would be static and compile anew for every value.
    """
    check_tolerances(rtol, atol, dtype)
    return diffrax.PIDController(rtol=jnp.asarray(rtol, dtype), atol=jnp.asarray(atol, dtype), norm=error_norm)


def check_tolerances(rtol: float, atol: float, dtype) -> None:
    """Refuse tolerances that the precision cannot give.

    A step's own rounding error is a few units in the last place, so an error test below about ten of them compares
    noise with noise and the step size collapses.

    **Raises:** `ValueError` with the smallest tolerance that can be asked for.
    """
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be > 0 and finite, got {value}.")
    floor = smallest_rtol(dtype)
    if rtol < floor:
        raise ValueError(
            f"rtol must be at least {floor:.1e} in {jnp.dtype(dtype).name} (rounding alone is about that large), "
            f"got {rtol:g}: raise rtol{_more_digits(dtype)}."
        )


def _more_digits(dtype) -> str:
    """How to have a higher precision, if there is one."""
    if jnp.finfo(dtype).bits >= 64:
        return ""
    if jax.config.read("jax_enable_x64"):
        return f"; your parameters are {jnp.dtype(dtype).name}, make them float64"
    return ', or call jax.config.update("jax_enable_x64", True) before you make any array'


def smallest_rtol(dtype) -> float:
    """The smallest relative tolerance that a precision can give: 100 units of rounding in float64, 10 in float32."""
    return 2.2e-14 if jnp.finfo(dtype).bits >= 64 else 1.2e-6


def remembered_cost(before: PyTree, attempted: PyTree) -> Array:
    """Evaluations of an attempted step of a solver that counts them in its own memory."""
    return attempted.evaluations


def keep_before(before: PyTree, attempted: PyTree) -> PyTree:
    """Most solvers try again from what they knew before the step."""
    return before
