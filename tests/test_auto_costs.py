"""What `auto` costs on problems of `benchmarks/auto.py`, beside the method that is best there."""

import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks import auto

import flowsim

from .test_auto import EIGENVALUES, START, T1

BEST = {
    auto.words_logistic: "dop853", auto.words_squared: "stabilized", auto.tanh_network: "stabilized",
    auto.linear_network: "stabilized4", auto.attention: "exponential", auto.in_context: "exponential",
    auto.modular_addition: "stabilized", auto.sparse_words: "stabilized4", auto.wide: "stabilized",
    auto.stiff_in_the_middle: "stabilized", auto.stiff_at_the_end: "stabilized", auto.stiff_five_times: "stabilized",
}  # fmt: skip
"""The named solver that takes the fewest evaluations, as `python -m benchmarks.auto` finds."""


def cost(make, solver):
    problem, t1, rtol = make()
    result = flowsim.simulate(problem, t1=t1, solver=solver, rtol=rtol, atol=rtol / 100, save_times=[t1])
    assert result.status.ok
    return result.solver.vector_field_evaluations


def test_the_best_solver_of_every_problem_is_known():
    assert list(BEST) == list(auto.CASES)


@pytest.mark.slow
def test_it_costs_hardly_more_than_the_best_named_solver_where_little_is_to_come():
    assert cost(auto.words_squared, "auto") <= 1.1 * cost(auto.words_squared, BEST[auto.words_squared])


@pytest.mark.slow
def test_it_costs_at_most_half_as_much_again_as_the_best_named_solver_and_mostly_a_tenth():
    ratios = {make.__name__: cost(make, "auto") / cost(make, named) for make, named in BEST.items()}
    assert max(ratios.values()) <= 1.5, ratios
    assert sum(ratio <= 1.1 for ratio in ratios.values()) >= 9, ratios


@pytest.mark.slow
def test_time_scales_that_change_nothing_do_not_keep_a_flow_explicit():
    problem = flowsim.Problem.from_loss(
        lambda p: jnp.sum(jnp.asarray(EIGENVALUES) * p["a"] ** 2) / 2, {"a": jnp.asarray(START)}
    )
    options = {"t1": T1, "rtol": 1e-6, "atol": 1e-8, "save_times": [T1]}
    plain = flowsim.simulate(problem, **options)
    scaled = flowsim.simulate(problem, flow=flowsim.flows.time_scales(rates={"a": 1.0}), **options)
    assert [switch.kind for switch in scaled.solver.switches] == ["stabilized4", "exponential"]
    assert scaled.solver.vector_field_evaluations == plain.solver.vector_field_evaluations
    np.testing.assert_allclose(scaled.parameters["a"], plain.parameters["a"], atol=1e-11)  # to rounding
