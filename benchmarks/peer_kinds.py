"""The methods: each integrates a case to a tolerance by what its own library offers."""

import dataclasses
import importlib.util
from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.ode import odeint
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp

import flowsim

from .peer_cases import Case

ATOL = 1e-2  # of the relative tolerance, for everyone
_MAX_STEPS = 1_000_000


@dataclasses.dataclass(frozen=True)
class Run:
    """One method on one case.

    **Fields:** `solve`: tolerance -> the end, in the library's own form, computed to the last digit when it returns;
    `flat`: that as a NumPy vector; `evaluations`: (tolerance, the end) -> vector-field evaluations, which may integrate
    once more.
    """

    solve: Callable[[float], Any]
    flat: Callable[[Any], np.ndarray]
    evaluations: Callable[[float, Any], int]


@dataclasses.dataclass(frozen=True)
class Method:
    """**Fields:** `needs`: packages without which it cannot run; `tolerances`: None for the usual ones."""

    name: str
    make: Callable[[Case], Run]
    needs: tuple[str, ...] = ()
    tolerances: tuple[float, ...] | None = None

    def missing(self) -> str | None:
        """Why it cannot run here."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return f"{' and '.join(absent)} not installed (dependency group `peers`)" if absent else None


def _flowsim(solver: str) -> Callable[[Case], Run]:
    """As a user calls it, with the default reduction. Like its peers it saves the two ends only."""

    def make(case: Case) -> Run:
        t1 = case.setting.t1

        def solve(rtol):
            options = {"rtol": rtol, "atol": ATOL * rtol, "save_times": [0.0, t1]}
            result = flowsim.simulate(case.problem, t1=t1, solver=solver, **options)
            if not result.status.ok:
                raise RuntimeError(result.status.message)
            return jax.block_until_ready(result.parameters), result.solver.vector_field_evaluations

        return Run(solve, lambda end: np.asarray(ravel_pytree(end[0])[0]), lambda rtol, end: end[1])

    return make


class _Counter:
    """Counts calls from compiled code."""

    def __init__(self):
        self.calls = 0

    def tick(self):
        self.calls += 1

    def counted(self, field: Callable) -> Callable:
        def also(*arguments):
            jax.debug.callback(self.tick)
            return field(*arguments)

        return also

    def of(self, work: Callable[[], Any]) -> int:
        self.calls = 0
        jax.block_until_ready(work())
        jax.effects_barrier()
        return self.calls


def _diffrax(solver: diffrax.AbstractSolver) -> Callable[[Case], Run]:
    def make(case: Case) -> Run:
        def field(t, y, problem):
            return jax.tree.map(jnp.negative, jax.grad(problem.risk)(y))

        def integrate(field, arguments):
            problem, t1, rtol = arguments
            return diffrax.diffeqsolve(
                diffrax.ODETerm(field), solver, 0.0, t1, None, problem.parameters, problem, max_steps=_MAX_STEPS,
                stepsize_controller=diffrax.PIDController(rtol=rtol, atol=ATOL * rtol), throw=False,
            )  # fmt: skip

        def once(jitted, rtol):
            found = jax.block_until_ready(jitted((case.problem, jnp.asarray(case.setting.t1), jnp.asarray(rtol))))
            if found.result != diffrax.RESULTS.successful:
                raise RuntimeError(diffrax.RESULTS[found.result])
            return found.ys

        counter = _Counter()
        timed = eqx.filter_jit(lambda given: integrate(field, given))
        counting = eqx.filter_jit(lambda given: integrate(counter.counted(field), given))
        return Run(
            lambda rtol: once(timed, rtol),
            lambda end: np.asarray(ravel_pytree(jax.tree.map(lambda x: x[-1], end))[0]),
            lambda rtol, _: counter.of(lambda: once(counting, rtol)),
        )

    return make


def _jax_odeint(case: Case) -> Run:
    """Its tolerances are static: every one of them is compiled anew."""
    counter, times = _Counter(), jnp.array([0.0, case.setting.t1])

    def field(y, t):
        return jax.tree.map(jnp.negative, jax.grad(case.problem.risk)(y))

    def jitted(field):
        return jax.jit(lambda y, rtol: odeint(field, y, times, rtol=rtol, atol=ATOL * rtol), static_argnums=1)

    timed, counting = jitted(field), jitted(counter.counted(field))
    return Run(
        lambda rtol: jax.block_until_ready(timed(case.problem.parameters, rtol)),
        lambda end: np.asarray(ravel_pytree(jax.tree.map(lambda x: x[-1], end))[0]),
        lambda rtol, _: counter.of(lambda: counting(case.problem.parameters, rtol)),
    )


def _scipy(method: str) -> Callable[[Case], Run]:
    def make(case: Case) -> Run:
        def field(t, y):
            return np.asarray(case.velocity(y))

        def solve(rtol):
            span = (0.0, case.setting.t1)
            found = solve_ivp(field, span, case.start, method, t_eval=span[1:], rtol=rtol, atol=ATOL * rtol)
            if not found.success:
                raise RuntimeError(found.message)
            return found

        return Run(solve, lambda end: end.y[:, -1], lambda _, end: end.nfev)

    return make


def _torchdiffeq(case: Case) -> Run:
    from . import peer_torch  # torch may not be there

    return peer_torch.dopri5(case)


def _descent(case: Case) -> Run:
    from . import peer_torch  # as above

    return peer_torch.descent(case)


FLOWSIM = Method("flowsim, dop853", _flowsim("dop853"))
DEFAULT = Method("flowsim, auto", _flowsim("auto"))
PEERS = (
    Method("Diffrax Tsit5", _diffrax(diffrax.Tsit5())),
    Method("Diffrax Dopri5", _diffrax(diffrax.Dopri5())),
    Method("Diffrax Dopri8", _diffrax(diffrax.Dopri8())),
    Method("jax.experimental.ode.odeint", _jax_odeint),
    Method("SciPy DOP853, jitted gradient", _scipy("DOP853")),
    Method("SciPy RK45, jitted gradient", _scipy("RK45")),
    Method("torchdiffeq dopri5", _torchdiffeq, ("torch", "torchdiffeq")),
    Method("PyTorch gradient descent", _descent, ("torch",), (0.01,)),
)
