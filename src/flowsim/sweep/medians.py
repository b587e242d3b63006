"""The folder of an ensemble: what its members have in common, in one summary, one dataset, one report."""

import logging
import pathlib
from collections.abc import Sequence

import numpy as np

from .. import ensemble, report, store
from ..config.schema import Experiment
from ..ensemble import EnsembleResult, Member
from ..experiment import build, descent
from ..store.summary import number


def write(
    experiment: Experiment, first: Experiment, folder: pathlib.Path, result: EnsembleResult, run: store.RunFolder
) -> store.Summary:
    """Trajectory, summary, figures and report of all members."""
    for one in result.members:
        if not one.status.ok:
            logging.getLogger("flowsim").warning("seed %d: %s", one.seed, one.status.message)
    content = summary(experiment.name, result)
    run.write_trajectory(result.dataset.assign_attrs(name=experiment.name, status=content.status))
    if first.descent:
        taken = descent.take(first, build.problem(first, folder), result.members[0].status)
        named = f"(seed {first.seed} only)"  # one line to hold against the flows' medians
        run.write_descents([one.dataset().assign_attrs(label=f"{one.descent.label} {named}") for one in taken])
        content = content.model_copy(update=descent.section(taken))
    run.write_summary(content)
    report.rebuild(run.path, own=build.figures(experiment, folder))
    run.finish()
    return content


def summary(name: str, result: EnsembleResult) -> store.Summary:
    """Of an ensemble: medians where a single run has numbers, and the quantiles of event times."""
    worst = next((one.status for one in result.members if not one.status.ok), result.members[0].status)
    failed = tuple(one.seed for one in result.members if not one.status.ok)
    return store.Summary(
        schema_version=store.SCHEMA_VERSION,
        name=name,
        status=worst.kind,
        message=f"{len(result.members) - len(failed)} of {len(result.members)} seeds: {worst.message}",
        remedy=worst.remedy,
        complete=result.ok,
        seeds=tuple(result.seeds),
        failed_seeds=failed,
        events={key: _event(event, result) for key, event in result.events.items()},
        final=_final(result),
        certificate=_certificate(result.members) if result.certified else None,
        energy_identity=number(max(one.energy_identity for one in result.members)),
        solver=_solver(result.members),
    )


def _solver(members: Sequence[Member]) -> store.SolverSummary:
    """Method and tolerances of the first, and what all of them cost."""
    first, own = members[0].solver, [one.solver for one in members]
    found = store.SolverSummary(
        kind=first.kind,
        rtol=first.rtol,
        atol=first.atol,
        steps=sum(one.steps for one in own),
        rejected=sum(one.rejected for one in own),
        vector_field_evaluations=sum(one.vector_field_evaluations for one in own),
        event_evaluations=sum(one.event_evaluations for one in own),
        reduction=first.reduction,
        reduction_reason=first.reduction_reason,
        seconds_compile=first.seconds_compile,
        seconds_run=sum(one.seconds_run for one in own),
    )
    told = {name: True for name in ("implicit", "compensated") if getattr(first, name)}  # of others not even mentioned
    return found.model_copy(update=told) if told else found


def _event(event: ensemble.EventTimes, result: EnsembleResult) -> store.EventSummary:
    bounds = [one.events[event.name].uncertainty for one in result.members if one.events[event.name].crossings]
    known = [bound for bound in bounds if bound is not None]
    return store.EventSummary(
        description=f"{event.description}; median over the seeds",
        time=event.quantile(0.5),
        times=(),
        uncertainty=number(max(known)) if known and len(known) == len(bounds) else None,  # then a median's too
        fired=event.fired,
        quantiles=event.quantiles,
    )


def _certificate(members: Sequence[Member]) -> store.CertificateSummary:
    """The worst of the seeds' own certificates, and the median of their error bounds."""
    found = [(one.seed, one.certificate) for one in members if one.certificate is not None]
    own = [certificate for _, certificate in found]
    errors = np.array([one.relative_error for one in own])
    names = dict.fromkeys(name for one in own for name in one.invariants)
    return store.CertificateSummary(
        relative_error=number(errors.max()),
        relative_error_median=number(np.median(errors)),
        energy_identity=number(max(one.energy_identity for one in own)),
        invariants={name: number(max(one.invariants.get(name, 0.0) for one in own)) for name in names},
        rounding_floor=number(max(one.rounding_floor for one in own)),
        method=f"the worst of {len(own)} seeds, each by its own {own[0].method}",
        vector_field_evaluations=sum(one.evaluations for one in own),
        warnings=tuple(f"seed {seed}: {text}" for seed, one in found for text in one.warnings),
    )


def _final(result: EnsembleResult) -> store.FinalState:
    """Medians over the seeds of time and scalar probes at each member's end, in the order in which probes are named:
    that of the arrays depends on whether a member was integrated here or read."""
    ends = [one.trajectory for one in result.members]
    scalars = [name for name in ends[0].variables if ends[0].values[name].ndim == 1]
    medians = {name: number(np.median([end.values[name][-1] for end in ends])) for name in scalars}
    return store.FinalState(**{"time": number(np.median([end.time[-1] for end in ends])), **medians})
