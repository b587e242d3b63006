"""What a member needs, for a dry run. Loads JAX."""

import dataclasses
from typing import Any

from ..experiment import build, sizes
from .expand import Member, Plan


def measured(plan: Plan, member: Member) -> dict[str, Any]:
    """Sizes in bytes of a member, which is built for it. **Raises:** `ExperimentErrors` if it cannot fit."""
    experiment = plan.experiment(member.overrides)
    build.configure(experiment.precision)
    sizes.refuse_weights_that_cannot_fit(experiment)
    problem = build.problem(experiment, plan.folder)
    found = sizes.measure(problem, build.prepared(experiment, problem))
    sizes.refuse_what_cannot_fit(found)
    return {f"{name}_bytes": size for name, size in dataclasses.asdict(found).items()}
