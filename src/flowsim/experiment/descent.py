"""An experiment's optimisers against its flow: what `summary.json` and the run folder say of them."""

import logging
import math

from ..compare import Drift, against_flow, fitted_orders
from ..config.schema import DescentConfig, Experiment
from ..problem import Problem
from ..records import Status
from ..store import DescentSummary
from . import build

_EDGE_POINTS = 25  # steps at which the sharpness is measured
_ALIKE = 10  # runs whose numbers of steps differ by more than this factor are compiled apart


def drifts(experiment: Experiment, problem: Problem, status: Status) -> list[Drift | None]:
    """For every entry of `discrete` its distance to the flow, as far as the flow went; None where there is none."""
    steps = [_steps(experiment, entry, status) for entry in experiment.discrete]
    return [
        _drift(experiment, entry, problem, count, max(steps)) if count else None
        for entry, count in zip(experiment.discrete, steps, strict=True)
    ]


def _steps(experiment: Experiment, entry: DescentConfig, status: Status) -> int:
    """How many steps can be compared; none is said in the log."""
    if not entry.against_flow:
        return 0
    steps = min(entry.steps, math.floor(status.time / _clock(experiment, entry) * (1 + 1e-9))) if status.ok else 0
    if steps == 0:
        why = "its first step ends after the flow" if status.ok else "the flow failed"
        logging.getLogger("flowsim").warning("%s is not compared with the flow: %s", build.label(entry), why)
    return steps


def _clock(experiment: Experiment, entry: DescentConfig) -> float:
    return build.step_time(experiment, entry)


def _drift(experiment: Experiment, entry: DescentConfig, problem: Problem, steps: int, most: int) -> Drift:
    sgd = entry.optimizer == "sgd"
    wanted = experiment.flow.reduction
    settings, here = build.settings(experiment), build.context(experiment, problem)
    return against_flow(
        problem,
        build.transformation(entry),
        learning_rate=entry.learning_rate,
        steps=steps,
        step_time=_clock(experiment, entry),
        flow=build.flow(experiment, here),
        events=build.events_of(experiment, here),
        tube=entry.tube,
        edge_points=_EDGE_POINTS,
        edge_limit=2 * (1 + (entry.momentum or 0.0)) if sgd else None,
        optimiser=_name(entry),
        against=_flow_name(experiment),
        # Steps of gradient descent stay in the subspace of the reduction; others work weight by weight.
        reduction=("auto" if wanted == "gram" else wanted) if sgd else "none",
        solver=settings.solver,
        rtol=settings.rtol,
        atol=settings.atol,
        step=settings.step,
        max_steps=settings.max_steps,
        padded=most if most < _ALIKE * steps else 0,
    )


def _name(entry: DescentConfig) -> str:
    return entry.optimizer if entry.momentum is None else f"{entry.optimizer}, momentum {entry.momentum:g}"


def _flow_name(experiment: Experiment) -> str:
    name = f"{experiment.flow.kind.replace('_', ' ').removesuffix(' gradient')} flow"
    return f"adjusted {name}" if experiment.flow.adjusted else name


def section(drifts: list[Drift | None]) -> dict[str, DescentSummary]:
    """What the summary gets: nothing, or its part `descent`."""
    compared = [drift for drift in drifts if drift is not None]
    orders = [fit.record() for fit in fitted_orders(compared)]
    runs = [drift.record() for drift in compared]
    found = DescentSummary.model_validate({"runs": runs, "orders": orders}, strict=False)
    return {"descent": found} if compared else {}
