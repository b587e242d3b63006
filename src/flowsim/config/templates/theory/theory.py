"""A theory of your own: a problem, its start, and the claims about it. Fill in, and run

flowsim verify experiment.yaml --plugin theory.py
"""

import jax.numpy as jnp
import numpy as np
from pydantic import Field

import flowsim
from flowsim.claims import Finding, agrees


@flowsim.kind("problem", "mine")
class Problem(flowsim.config.Kind):
    """Two layers of one weight each, ½(u v - target)², from u = v = start."""

    target: float = Field(default=2.0, gt=0, description="What u v converges to.")
    start: float = Field(default=0.01, gt=0, description="Both weights at t = 0.")

    def build(self, context):
        # context.key("problem") is a random key, for a start that is drawn
        weights = {"u": jnp.asarray(self.start), "v": jnp.asarray(self.start)}
        return flowsim.Problem.from_loss(lambda w: 0.5 * (w["u"] * w["v"] - self.target) ** 2, weights)

    def strength(self, t):
        """s = u v of the balanced start in closed form: s' = 2 s (target - s)."""
        return self.target / (1 + (self.target / self.start**2 - 1) * np.exp(-2 * self.target * t))


@flowsim.kind("claim", "mine")
class Claims(flowsim.config.Kind):
    """The claims about the problem `mine`."""

    def build(self, context):
        problem = context.experiment.problem

        @flowsim.claim(
            id="sigmoid",
            source="who says it, and where",
            statement="u v is a sigmoid in time.",
            rule="within 10 error bands of the closed form at every saved time",
            probes={"strength": lambda w: w["u"] * w["v"]},
        )
        def sigmoid(evidence):
            return agrees(evidence, "strength", problem.strength)

        @flowsim.claim(id="falls", source="", statement="The loss falls.", rule="its last value is below its first")
        def falls(evidence):
            return Finding.compare(evidence.value("loss"), "<", evidence.value("loss", at=0.0))

        return [sigmoid, falls]
