"""Every solver converges at its stated order, and a tighter tolerance gives a smaller error."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.compare.record import Comparison, Run
from flowsim.plot.work_precision import caption
from flowsim.report import sentences, summary_text
from flowsim.result.summary import summarized
from flowsim.solver_names import SOLVERS
from flowsim.solvers.dop853 import Dop853

BUILT = [info for info in SOLVERS if info.kind in flowsim.solvers.kinds()]


STARTS = np.linspace(0.1, 0.9, 9)  # several, so that no error vanishes by accident
# Steps over the interval at which the leading term of the error rules and rounding is still far.
STEPS = {
    1: (64, 128, 256),
    2: (50, 64, 100),
    3: (40, 50, 64),
    4: (32, 40, 50, 64),
    5: (40, 50, 64, 80),
    8: (8, 10, 12, 16),
}


def logistic_growth():
    """dx/dt = x (1 - x) as a gradient flow; x(t) is the logistic curve. Its derivatives do not vanish."""
    problem = flowsim.Problem.from_loss(_growth, jnp.asarray(STARTS))

    def exact(t):
        return 1 / (1 + (1 / STARTS - 1) * np.exp(-t))

    return problem, exact


def _growth(x):
    return jnp.sum(x**3 / 3 - x**2 / 2)


@pytest.mark.parametrize("info", BUILT, ids=lambda info: info.kind)
def test_order_of_convergence(info):
    problem, exact = logistic_growth()
    errors = []
    for steps in STEPS[info.order]:
        result = flowsim.simulate(
            problem, t1=4.0, solver=info.kind, step=4.0 / steps, rtol=1e-13, atol=1e-14, save_times=[0.0, 4.0]
        )
        errors.append(np.linalg.norm(result.parameters - exact(4.0)))
    order = -np.polyfit(np.log(STEPS[info.order]), np.log(errors), 1)[0]
    assert abs(order - info.order) < 0.2, errors


@pytest.mark.thorough
@pytest.mark.parametrize(
    "info", [i for i in BUILT if i.adaptive and not i.implicit and i.order > 2], ids=lambda i: i.kind
)
def test_tighter_tolerance_means_smaller_error(info):
    problem, exact = logistic_growth()
    tolerances = 10.0 ** -np.arange(4, 10 if info.order > 3 else 8)
    errors = []
    for rtol in tolerances:
        result = flowsim.simulate(problem, t1=20.0, solver=info.kind, rtol=rtol, atol=rtol, save_times=[0.0, 20.0])
        middle = flowsim.simulate(problem, t1=3.0, solver=info.kind, rtol=rtol, atol=rtol, save_times=[0.0, 3.0])
        errors.append(
            max(np.linalg.norm(result.parameters - exact(20.0)), np.linalg.norm(middle.parameters - exact(3.0)))
        )
    # Step counts are whole numbers, so the fall is judged over the whole range, decade by decade on average.
    assert errors[0] / errors[-1] > 5.0 ** (len(tolerances) - 1)


def test_an_implicit_solver_says_that_its_solves_are_not_counted():
    """Diffrax's implicit steps do not tell how often their equations asked for the field."""
    assert all("count stages, not solves" in info.use for info in BUILT if info.implicit)
    calls = []

    def loss(x):
        jax.debug.callback(lambda _: calls.append(1), x[0])
        return jnp.sum(x**4)

    problem = flowsim.Problem.from_loss(loss, jnp.array([0.3, 0.5, 1.0]))
    result = flowsim.simulate(problem, t1=3.0, solver="kvaerno5", rtol=1e-6, save_times=[3.0])
    count = result.solver.vector_field_evaluations
    assert len(calls) > 2 * count
    summary, said = summarized(result.certified(result.certificate), "x"), f"at least {count} gradients (its solves"
    assert summary.solver is not None
    assert summary.solver.implicit
    assert said in repr(result)
    assert said in summary_text(summary)
    assert f"at least {count} evaluations of the gradient (its solves" in (sentences.solver(summary) or "")
    assert "by kvaerno4 (its solves are not counted)" in result.certificate.method
    explicit = summarized(flowsim.simulate(problem, t1=3.0, solver="tsit5", rtol=1e-6, save_times=[3.0]), "x").solver
    assert explicit is not None
    assert "implicit" not in explicit.model_dump(exclude_unset=True)


def test_a_comparison_says_whose_evaluations_leave_out_solves():
    def compared(*solvers):
        runs = [Run(one, 1e-6, "done", 1e-5, {}, {}, 98, 16.0, 0.0, (0.1,), 1.0) for one in solvers]
        return Comparison(runs, 3.0, "a", "b", 1e-9)

    one = compared("tsit5", "kvaerno5")
    said = "vector-field evaluations, of kvaerno5 those of stages, not of their solves"
    assert said in one.table()
    assert said in caption(one.dataset())
    assert "solves" not in compared("tsit5").table() + caption(compared("tsit5").dataset())


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_a_slope_that_is_not_finite_shows_in_the_error(bad):
    """Else a step into an overflow would be taken, and no later one could leave it."""
    term = diffrax.ODETerm(lambda t, y, args: jnp.where(t >= 1, bad, -y))  # of the step's end alone
    solver, start, zero, one = Dop853(finishes=False), jnp.ones(3), jnp.asarray(0.0), jnp.asarray(1.0)
    _, error, *_ = solver.step(term, zero, one, start, None, solver.init(term, zero, one, start, None), False)
    assert not jnp.any(jnp.isfinite(error))
