"""An experiment's optimizers against its flow: what `summary.json` and the run folder say of them."""

import dataclasses
import logging
import math
from collections.abc import Sequence

from .. import descent
from ..compare import fitted_orders
from ..config.schema import DescentConfig, Experiment
from ..descent import Descent, Drift
from ..problem import Problem
from ..records import Status
from ..store import DescentSummary
from . import build

_EDGE_POINTS = 25  # steps at which the sharpness is measured


@dataclasses.dataclass(frozen=True)
class Taken:
    """An optimizer's run, and its distance to the flow: None where none was measured."""

    descent: Descent
    drift: Drift | None

    def dataset(self):
        """As one `xarray.Dataset`."""
        found = self.descent.dataset
        if self.drift is None:
            return found
        distance = self.drift.dataset()
        return found.merge(distance).assign_attrs({**found.attrs, **distance.attrs})


def take(experiment: Experiment, problem: Problem, status: Status) -> list[Taken]:
    """Every optimizer's run of the experiment, its steps taken once: beside the flow as far as that went, and on."""
    compared = [_compared(experiment, entry, status) for entry in experiment.descent]
    return [_take(experiment, entry, problem, count) for entry, count in zip(experiment.descent, compared, strict=True)]


def _compared(experiment: Experiment, entry: DescentConfig, status: Status) -> int:
    """How many steps can be compared; none is said in the log."""
    if not entry.against_flow:
        return 0
    clock = build.step_time(experiment, entry)
    steps = min(entry.steps, math.floor(status.time / clock * (1 + 1e-9))) if status.ok else 0
    if steps == 0:
        why = "its first step ends after the flow" if status.ok else "the flow failed"
        logging.getLogger("flowsim").warning("%s is not compared with the flow: %s", _label(entry), why)
    return steps


def _take(experiment: Experiment, entry: DescentConfig, problem: Problem, compared: int) -> Taken:
    wanted, equivariant = experiment.flow.reduction, descent.equivariant(entry.optimizer)
    # Equivariant steps stay in the subspace of the reduction; others work weight by weight.
    reduction = ("auto" if wanted == "gram" else wanted) if equivariant else "none"
    options = {"momentum": entry.momentum, "weight_decay": entry.weight_decay}
    given = {name: value for name, value in options.items() if value is not None}
    optimizer = descent.optimizer(entry.optimizer, entry.learning_rate, **given)
    clock, label = build.step_time(experiment, entry), _label(entry)
    if compared == 0:
        alone = descent.descend(
            problem, optimizer, learning_rate=entry.learning_rate, steps=entry.steps, step_time=clock, label=label,
            reduction=reduction,
        )  # fmt: skip
        return Taken(alone, None)
    settings, here = build.settings(experiment), build.context(experiment, problem)
    against = descent.Against(
        learning_rate=entry.learning_rate,
        steps=compared,
        step_time=clock,
        flow=build.flow(experiment, here),
        events=build.events_of(experiment, here),
        tube=entry.tube,
        edge_points=_EDGE_POINTS,
        edge_limit=2 * (1 + (entry.momentum or 0.0)) if entry.optimizer == "sgd" else None,
        optimizer=_name(entry),
        against=_flow_name(experiment),
        reduction=reduction,
        solver=settings.solver,
        rtol=settings.rtol,
        atol=settings.atol,
        step=settings.step,
        max_steps=settings.max_steps,
        compensated=settings.compensated,
    )
    return Taken(*descent.beside_flow(problem, optimizer, against, steps=entry.steps, label=label))


def _label(entry: DescentConfig) -> str:
    """What an entry of `descent` is called in figures."""
    momentum = "" if entry.momentum is None else f", momentum {entry.momentum:g}"
    decay = "" if entry.weight_decay is None else f", weight decay {entry.weight_decay:g}"
    return f"{entry.optimizer}, learning rate {entry.learning_rate:g}{momentum}{decay}"


def _name(entry: DescentConfig) -> str:
    return entry.optimizer if entry.momentum is None else f"{entry.optimizer}, momentum {entry.momentum:g}"


def _flow_name(experiment: Experiment) -> str:
    name = f"{experiment.flow.kind.replace('_', ' ').removesuffix(' gradient')} flow"
    return f"adjusted {name}" if experiment.flow.adjusted else name


def section(taken: Sequence[Taken]) -> dict[str, DescentSummary]:
    """What the summary gets: nothing, or its part `descent`."""
    compared = [one.drift for one in taken if one.drift is not None]
    orders = [fit.record() for fit in fitted_orders(compared)]
    runs = [drift.record() for drift in compared]
    found = DescentSummary.model_validate({"runs": runs, "orders": orders}, strict=False)
    return {"descent": found} if compared else {}
