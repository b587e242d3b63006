"""How every sample's weight moves the numbers that an experiment's `influence` lists."""

import logging
import pathlib
from typing import Any

import numpy as np

from .. import sensitivities
from ..config.problems import Place, refusal
from ..config.schema import Experiment
from ..problem import Problem
from ..result import Result
from ..sensitivities import Influence
from ..simulation import Prepared
from ..store import InfluenceSummary, number
from . import build


def refuse(experiment: Experiment, problem: Problem, prepared: Prepared) -> None:
    """**Raises:** `ExperimentErrors` where the run has no adjoint, before it starts."""
    if not experiment.influence:
        return
    try:
        sensitivities.check_adjoint(problem, build.flow(experiment, build.context(experiment, problem)), prepared)
    except ValueError as error:
        raise refusal(Place(experiment.name), str(error), "influence") from None


def take(experiment: Experiment, problem: Problem, result: Result, folder: pathlib.Path) -> dict[str, Influence | str]:
    """Name -> derivatives by all weights, or why there are none.

    The steps are recorded once: the run's own, where its solver did not change. When events happen is known from it.
    """
    if not experiment.influence:
        return {}
    if not result.status.ok:
        return dict.fromkeys(experiment.influence, "the run failed")
    here = build.context(experiment, problem, folder)
    events: dict[str, Any] = {event.name: event for event in build.events_of(experiment, here)}
    certified = experiment.certificate.method != "none"
    adjoint = sensitivities.Adjoint(
        problem, build.settings(experiment), build.flow(experiment, here), experiment.flow.reduction,
        certificate=certified,
    )  # fmt: skip
    times = {name: result.crossings[name].time for name in experiment.influence if name in events}
    found: dict[str, Influence | str] = {}
    for name in sorted(experiment.influence, key=lambda name: name in times):  # the end of the run first
        try:
            found[name] = adjoint.influence(sensitivities.quantity(events.get(name, name)), times.get(name))
        except RuntimeError as error:  # a stiff run that explicit steps do not finish
            found[name] = str(error)
            logging.getLogger("flowsim").warning("influence of %s: %s", name, error)
    return {name: found[name] for name in experiment.influence}


def added(dataset: Any, taken: dict[str, Influence | str]) -> Any:
    """The trajectory with the derivatives by all weights, where there are any."""
    made = [one for one in taken.values() if isinstance(one, Influence) and one.derivatives is not None]
    return dataset.merge(sensitivities.together(made)) if made else dataset


def section(taken: dict[str, Influence | str]) -> dict[str, dict[str, InfluenceSummary]]:
    """What the summary gets: nothing, or its part `influence`."""
    return {"influence": {name: _record(one) for name, one in taken.items()}} if taken else {}


def _record(one: Influence | str) -> InfluenceSummary:
    if isinstance(one, str):
        return InfluenceSummary(reason=one)
    if one.derivatives is None:
        return InfluenceSummary(reason="it never happens", run_evaluations=one.run_evaluations)
    groups = {} if one.groups is None else one.by_group()
    error = None if one.errors is None else number(np.max(one.errors))
    return InfluenceSummary(value=one.value, by_group=groups, error=error, run_evaluations=one.run_evaluations,
                            adjoint_evaluations=one.adjoint_evaluations, reason=one.withheld or None)  # fmt: skip
