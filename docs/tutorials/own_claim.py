"""Your own claim: a sentence with a rule that a run can break. Run me: python own_claim.py"""

import jax

import flowsim
from flowsim.claims import Finding, equals

jax.config.update("jax_enable_x64", True)

# %%
half = flowsim.events.crossing("half", lambda t, w: w - 0.5, direction="up")


@flowsim.claim(
    id="half-time",
    source="own",
    statement="The weight is half-way at ln 2.",
    rule="within 10 error bounds of the event's time",
    events=[half],
)
def half_time(evidence):
    return equals(evidence.time("half"), 0.6931471805599453)


@flowsim.claim(id="falls", source="own", statement="The loss falls.", rule="beyond both error bounds")
def falls(evidence):
    return Finding.compare(evidence.value("loss"), "<", evidence.value("loss", at=0.0))


# %%
problem = flowsim.Problem.from_loss(lambda w: 0.5 * (w - 1.0) ** 2, 0.0)
verdicts = flowsim.verify(problem, [half_time, falls], t1=5.0)

# %%
print(verdicts)
