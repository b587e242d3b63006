"""What `auto` costs on problems of `benchmarks/auto.py`, beside the method that is best there."""

import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks import auto

import flowsim

from .test_auto import EIGENVALUES, START, T1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "named"),
    [
        (auto.attention, "exponential"),
        (auto.in_context, "exponential"),
        (auto.words_logistic, "dop853"),
        (auto.stiff_in_the_middle, "stabilized"),
        (auto.stiff_at_the_end, "stabilized"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_it_costs_at_most_half_as_much_again_as_the_best_named_solver(make, named):
    problem, t1, rtol = make()

    def cost(solver):
        result = flowsim.simulate(problem, t1=t1, solver=solver, rtol=rtol, atol=rtol / 100, save_times=[t1])
        assert result.status.ok
        return result.solver.vector_field_evaluations

    assert cost("auto") <= 1.5 * cost(named)


@pytest.mark.slow
def test_time_scales_that_change_nothing_do_not_keep_a_flow_explicit():
    problem = flowsim.Problem.from_loss(
        lambda p: jnp.sum(jnp.asarray(EIGENVALUES) * p["a"] ** 2) / 2, {"a": jnp.asarray(START)}
    )
    options = {"t1": T1, "rtol": 1e-6, "atol": 1e-8, "save_times": [T1]}
    plain = flowsim.simulate(problem, **options)
    scaled = flowsim.simulate(problem, flow=flowsim.flows.time_scales(rates={"a": 1.0}), **options)
    assert [switch.kind for switch in scaled.solver.switches] == ["exponential"]
    assert scaled.solver.vector_field_evaluations == plain.solver.vector_field_evaluations
    np.testing.assert_array_equal(scaled.parameters["a"], plain.parameters["a"])
