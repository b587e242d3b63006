"""From a solver's name to a method. The only place that knows Diffrax's solvers by name."""

import dataclasses
import math
from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import lineax
import optimistix
from jaxtyping import PyTree

from ..solver_names import COMPENSABLE
from .compensated import compensated as with_compensation
from .dop853 import Dop853
from .exponential import Exponential, quotients_do
from .lean import FIFTH, FOURTH, THIRD, Lean
from .method import Method, controller, flow_rms, flow_weights, keep_before, remembered_cost
from .stabilized import Stabilized, affordable_stages, doubt
from .stabilized4 import Stabilized4

_EXPLICIT: dict[str, Callable[[], diffrax.AbstractSolver]] = {
    "euler": diffrax.Euler,
    "heun": diffrax.Heun,
    "midpoint": diffrax.Midpoint,
    "ralston": diffrax.Ralston,
    "bosh3": diffrax.Bosh3,
    "tsit5": diffrax.Tsit5,
    "dopri5": diffrax.Dopri5,
    "dopri8": diffrax.Dopri8,
    "dop853": lambda: Dop853(finishes=False),
    "lean3": lambda: Lean(THIRD, finishes=False),
    "lean4": lambda: Lean(FOURTH, finishes=False),
    "lean5": lambda: Lean(FIFTH, finishes=False),
}
_FINISHING = {"dop853": Dop853.finishing, **dict.fromkeys(("lean3", "lean4", "lean5"), Lean.finishing)}
_IMPLICIT: dict[str, Callable[..., diffrax.AbstractSolver]] = {
    "kvaerno3": diffrax.Kvaerno3,
    "kvaerno4": diffrax.Kvaerno4,
    "kvaerno5": diffrax.Kvaerno5,
}
_STABILIZED: dict[str, Callable[..., diffrax.AbstractSolver]] = {
    "stabilized": Stabilized,
    "stabilized4": Stabilized4,
}


def kinds() -> tuple[str, ...]:
    """Names that `make` knows, besides `auto`."""
    return (*_EXPLICIT, *_STABILIZED, "exponential", *_IMPLICIT)


def choose(rtol: float) -> str:
    """What `auto` stands for: eighth order pays once the tolerance asks for more than about eight digits.

    `dop853` takes a third fewer evaluations than `dopri8`, but its dense output, in longer steps, is the less exact of
    the two; and what is saved must not choose the steps. So it has to be named, where only the final state matters.
    """
    return "dopri8" if rtol < 1e-8 else "tsit5"


def choose_lean(rtol: float) -> str:
    """What `auto` stands for where the stages of other methods do not fit into memory."""
    return "lean5" if rtol <= 1e-5 else "lean4"


def choose_stiff(rtol: float, *, symmetric: bool = True) -> tuple[str, ...]:
    """What `auto` turns to where the flow is stiff, in the order of trial.

    A stabilized method is seldom far from the best, and shows it in a few steps; the fourth-order one pays at the
    tighter tolerances only. `exponential` wins by orders of magnitude where the curvature hardly changes, but a trial
    of it costs more.

    **Arguments:** `symmetric`: is the flow's Jacobian? That of a gradient flow is, but not in the Gram system.
    """
    stabilized = "stabilized4" if rtol < 1e-5 else "stabilized"
    return (stabilized, "exponential") if symmetric else (stabilized,)


def make(kind: str, *, rtol: float, atol: float, step: float | None = None, dtype, compensated: bool = False) -> Method:
    """The method of a solver's name.

    **Arguments:**

    - `kind`: a solver's name (`flowsim solvers` lists them), or `auto`.
    - `rtol`, `atol`: tolerances of the error test.
    - `step`: fixed step size; required by `euler`, and turns the error test off for any other solver.
    - `dtype`: of the state.
    - `compensated`: is the state an unevaluated sum of two numbers? See `Compensated`.

    **Raises:** `ValueError` for an unknown name, a missing step, tolerances that the dtype cannot give, or a method
    that cannot be compensated.
    """
    kind = choose(rtol) if kind == "auto" else kind
    if kind == "euler" and step is None:
        raise ValueError("euler has no error estimate: give it a fixed step size (solver.step).")
    if step is not None and not (math.isfinite(step) and step > 0):
        raise ValueError(f"step must be > 0 and finite, got {step}.")
    cost, retry, radius = None, keep_before, None
    if kind in _EXPLICIT:
        solver = _EXPLICIT[kind]()
    elif kind in _STABILIZED:
        solver = _STABILIZED[kind](max_stages=affordable_stages(rtol, dtype))
        cost, retry, radius = remembered_cost, doubt, _of_spectrum
    elif kind == "exponential":
        tolerances = jnp.asarray(rtol, dtype), jnp.asarray(atol, dtype)
        exact = not quotients_do(rtol, dtype)
        solver = Exponential(*tolerances, norm=flow_rms, seen=flow_weights, exact=exact)
        cost, radius = remembered_cost, _of_krylov
    elif kind in _IMPLICIT:
        solver = _IMPLICIT[kind](root_finder=_matrix_free_newton(rtol, atol))
    else:
        raise ValueError(f"unknown solver {kind!r}; known are auto, {', '.join(kinds())}.")
    if compensated and kind not in COMPENSABLE:
        raise ValueError(cannot_compensate(kind))
    control = None if step is not None else controller(rtol, atol, dtype)
    fixed = None if step is None else jnp.asarray(step, dtype)
    made = Method(
        kind,
        solver,
        control,
        fixed,
        cost or ConstantCost(_stages(solver)),
        retry,
        radius,
        _FINISHING.get(kind),
        _beginning(solver),
        _states(solver),
    )
    return with_compensation(made) if compensated else made


def cannot_compensate(kind: str) -> str:
    """Why a method is refused, in a sentence."""
    return (
        f"compensated accumulation is for Runge-Kutta methods whose steps are sums of slopes, explicit or stabilized, "
        f"and {kind} is none: leave out compensated, or take one of them."
    )


def is_diffrax(solver: object) -> bool:
    """Is it a solver of Diffrax's form?"""
    return isinstance(solver, diffrax.AbstractSolver)


def of_diffrax(
    kind: str,
    solver: diffrax.AbstractSolver,
    *,
    rtol: float,
    atol: float,
    step: float | None = None,
    dtype,
    compensated: bool = False,
) -> Method:
    """The method of any solver of Diffrax's form, with its step-size control.

    **Arguments:** `kind`: what it is called; the rest as of `make`.

    **Raises:** `ValueError` for tolerances that the dtype cannot give; for a solver without an error estimate and no
    `step`; for one that is to be compensated and is none of Diffrax's explicit Runge-Kutta methods.
    """
    if compensated and not isinstance(solver, diffrax.AbstractERK | diffrax.Euler):
        raise ValueError(cannot_compensate(kind))
    adaptive = isinstance(solver, diffrax.AbstractAdaptiveSolver)
    if step is None and not adaptive:
        raise ValueError(f"{kind} has no error estimate: give it a fixed step size (solver.step).")
    control = None if step is not None else controller(rtol, atol, dtype)
    fixed = None if step is None else jnp.asarray(step, dtype)
    cost = ConstantCost(_stages(solver))
    beginning, states = _beginning(solver), _states(solver)
    made = Method(kind, solver, control, fixed, cost, keep_before, beginning=beginning, states=states)
    return with_compensation(made) if compensated else made


def _beginning(solver: diffrax.AbstractSolver) -> int:
    """Evaluations before the first step: the first slope, for solvers that carry it."""
    if isinstance(solver, diffrax.Euler):
        return 0
    tableau = getattr(solver, "tableau", None)
    return 1 if tableau is None else int(tableau.fsal)


def _states(solver: diffrax.AbstractSolver) -> int:
    """Stages of the widest method and the carry, where the solver does not say itself how many it holds."""
    return getattr(solver, "states", 24)


def _of_spectrum(memory: PyTree) -> jax.Array:
    return memory.spectrum.radius


def _of_krylov(memory: PyTree) -> jax.Array:
    return memory.radius


def _stages(solver: diffrax.AbstractSolver) -> int:
    """Vector-field evaluations of one attempted step; a first stage carried over from the last step costs nothing."""
    tableau = getattr(solver, "tableau", None)
    known = 1 if tableau is None else tableau.num_stages - int(tableau.fsal)
    return getattr(solver, "evaluations", known)


@dataclasses.dataclass(frozen=True)
class ConstantCost:
    """Every attempted step costs the same. Compared by value, so that two runs share one compiled program."""

    evaluations: int

    def __call__(self, before: PyTree, after: PyTree) -> jax.Array:
        return jnp.asarray(self.evaluations)


def _matrix_free_newton(rtol: float, atol: float) -> optimistix.AbstractRootFinder:
    """Newton's method with conjugate-gradient-like solves on Jacobian-vector products.

    Diffrax's default builds the dense Jacobian of all parameters: 17 GB at 65 536 of them.
    """
    linear = lineax.GMRES(rtol=1e-3 * math.sqrt(rtol), atol=1e-3 * math.sqrt(atol), restart=20, stagnation_iters=20)
    return optimistix.Newton(rtol=0.1 * rtol, atol=0.1 * atol, linear_solver=linear, norm=flow_rms)
