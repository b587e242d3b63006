"""An experiment over many seeds, into one run folder."""

import logging
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ensemble, report, store
from .._simulate import Prepared
from ..ensemble import EnsembleResult
from . import build, descent
from .schema import Experiment


def member(experiment: Experiment, seed: int) -> Experiment:
    """The single run of one seed: its own data and its own initialisation."""
    return experiment.model_copy(update={"seed": seed, "seeds": ()})


def first_member(experiment: Experiment, folder: pathlib.Path) -> Experiment:
    """The first seed's run, with the reduction that all members share."""
    first = member(experiment, experiment.seeds[0])
    name = ensemble.shared_reduction(experiment.flow.reduction, build.problem(first, folder))
    return first.model_copy(update={"flow": first.flow.model_copy(update={"reduction": name})})


def integrate(
    first: Experiment, seeds: tuple[int, ...], folder: pathlib.Path, progress: Callable[[int, int], None] | None
) -> EnsembleResult:
    """Every member. **Arguments:** `first`: as `first_member` gives it."""

    def prepared(seed: int) -> Prepared:
        one = member(first, seed)
        return build.prepared(one, build.problem(one, folder))

    result = ensemble.run(prepared, seeds, progress=progress)
    for one in result.members:
        if not one.status.ok:
            logging.getLogger("flowsim").warning("seed %d: %s", one.seed, one.status.message)
    return result


def write(
    experiment: Experiment, first: Experiment, folder: pathlib.Path, result: EnsembleResult, run: store.RunFolder
) -> dict[str, Any]:
    """Trajectory, summary, figures and report. An optimiser's run is that of the first seed, and says so."""
    content = summary(experiment.name, result)
    run.write_trajectory(result.dataset.assign_attrs(name=experiment.name, status=content["status"]))
    if first.discrete:
        problem = build.problem(first, folder)
        drifts = descent.drifts(first, problem, result.members[0].status)
        run.write_descents(build.descents(first, problem), [drift and drift.dataset() for drift in drifts])
        content |= descent.section(drifts)
    run.write_summary(content)
    report.rebuild(run.path)
    run.finish()
    return content


def summary(name: str, result: EnsembleResult) -> dict[str, Any]:
    """`summary.json` of an ensemble: medians where a single run has numbers, and the quantiles of event times."""
    worst = next((one.status for one in result.members if not one.status.ok), result.members[0].status)
    failed = [one.seed for one in result.members if not one.status.ok]
    solver = result.members[0].solver
    return {
        "schema_version": store.SCHEMA_VERSION,
        "name": name,
        "status": worst.kind,
        "message": f"{len(result.members) - len(failed)} of {len(result.members)} seeds: {worst.message}",
        "remedy": worst.remedy,
        "complete": result.ok,
        "seeds": list(result.seeds),
        "failed_seeds": failed,
        "events": {key: _event(event) for key, event in result.events.items()},
        "final": _final(result),
        "certificate": None,
        "energy_identity": max(one.energy_identity for one in result.members),
        "solver": {
            "kind": solver.kind,
            "rtol": solver.rtol,
            "atol": solver.atol,
            "steps": sum(one.solver.steps for one in result.members),
            "rejected": sum(one.solver.rejected for one in result.members),
            "vector_field_evaluations": sum(one.solver.vector_field_evaluations for one in result.members),
            "event_evaluations": sum(one.solver.event_evaluations for one in result.members),
            "reduction": solver.reduction,
            "reduction_reason": solver.reduction_reason,
            "seconds_compile": solver.seconds_compile,
            "seconds_run": sum(one.solver.seconds_run for one in result.members),
        },
    }


def _event(event: ensemble.EventTimes) -> dict[str, Any]:
    return {
        "description": f"{event.description}; median over the seeds",
        "time": event.quantile(0.5),
        "times": [],
        "fired": event.fired,
        "quantiles": event.quantiles,
    }


def _final(result: EnsembleResult) -> dict[str, float]:
    """Medians over the seeds of time and scalar probes at each member's end."""
    ends = [one.trajectory for one in result.members]
    scalars = [name for name, values in ends[0].values.items() if values.ndim == 1]
    medians = {name: float(np.median([end.values[name][-1] for end in ends])) for name in scalars}
    return {"time": float(np.median([end.time[-1] for end in ends])), **medians}
