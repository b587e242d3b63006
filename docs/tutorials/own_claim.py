"""Your own claim: a sentence with a rule that a run can break. Run me: python own_claim.py"""

import jax

import flowsim
from flowsim.claims import equals

jax.config.update("jax_enable_x64", True)

# %%
half = flowsim.events.crossing("half", lambda t, w: w - 0.5, direction="up")


@flowsim.claim(id="half-time", source="own", rule="within 10 error bounds of the event's time", events=[half])
def half_time(evidence):
    """The weight is half-way at ln 2."""
    return equals(evidence.time("half"), 0.6931471805599453)


# %%
problem = flowsim.Problem.from_loss(lambda w: 0.5 * (w - 1.0) ** 2, 0.0)
verdicts = flowsim.verify(problem, [half_time], t1=5.0)
print(verdicts)
