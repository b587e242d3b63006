"""The paper's claims as one theory: they share probes that depend on the reduction, and samples drawn anew."""

import dataclasses

import jax.numpy as jnp

from ...problem import Problem
from ...result import Result
from ...simulation import Prepared
from ..claim import Claim
from ..scaling import Law
from ..theory import AbstractTheory, Fresh
from .constants import DEFAULT, Constants
from .evidence import Evidence, measured, observe, watched

FRESH = 6000  # samples on which the test loss is measured


@dataclasses.dataclass(frozen=True)
class Yang2024(AbstractTheory):
    """The claims of the paper, for its model and task."""

    claims: tuple[Claim, ...]
    laws: tuple[Law, ...]
    constants: Constants = DEFAULT

    def instrument(self, problem: Problem, prepared: Prepared) -> Prepared:
        plan, ours = prepared.plan, watched()
        names = {event.name for event in ours}
        others = tuple(event for event in plan.events if event.name not in names)
        probes = plan.probes + measured(problem, prepared.reduction)
        return dataclasses.replace(prepared, plan=dataclasses.replace(plan, probes=probes, events=ours + others))

    def observe(self, problem: Problem, prepared: Prepared, result: Result, fresh: Fresh) -> Evidence:
        drawn = fresh(FRESH)
        return observe(problem, prepared.reduction, result, tolerance=prepared.settings.rtol, fresh=drawn)

    def speed(self, problem: Problem) -> float:
        """(σ0² + σ1²) m m1, the speed of phase 1."""
        model = problem.model(problem.parameters)
        return float(model.readout_squared() + model.neurons * jnp.mean(jnp.diagonal(model.value_gram(jnp.arange(3)))))
