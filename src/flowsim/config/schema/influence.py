"""`influence`: numbers of the run whose derivatives by every sample's weight are taken."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from ...solver_names import BY_KIND
from ..base import Listed
from ..names import meant
from ..remark import Remark

LOSS = "loss"

InfluenceConfig = Annotated[tuple[str, ...], Listed, Field(max_length=100)]


def influence_remarks(experiment: Any) -> Iterator[Remark]:
    """Each is the final loss or an event that is watched, and the run is one that has derivatives."""
    if experiment.flow.stages and (experiment.influence or experiment.sensitivities):
        why = "must be left out with influence or sensitivities: derivatives jump where the stage changes"
        yield Remark(("flow", "stages"), why, "differentiate one stage at a time, from where the one before it ended")
    if getattr(experiment.flow, "kinks", "none") == "follow" and (experiment.influence or experiment.sensitivities):
        yield Remark(("flow", "kinks"), "must be none with influence or sensitivities: derivatives jump at a kink")
    if not experiment.influence:
        return
    if experiment.seeds:
        yield Remark(("influence",), "must be left out for several seeds", "one seed at a time: flowsim sweep")
    if experiment.solver.kind not in ("auto", *BY_KIND):
        yield Remark(("influence",), "must be left out with a solver of a plugin's, whose steps have no adjoint here")
    known = (LOSS, *(event.name for event in experiment.events))
    for i, name in enumerate(experiment.influence):
        if name not in known:
            what = f"must be loss or an event of this run, and {name} is none"
            yield Remark(("influence", i), what, meant(name, known))
        elif name in experiment.influence[:i]:
            yield Remark(("influence", i), f"must be listed once, and {name} is there already")
