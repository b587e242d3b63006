"""What must hold between an experiment's values.

A check runs when every section that it names is sound, and of the kind that it asks for.
"""

import inspect
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...solver_names import BY_KIND, SMALLEST_RTOL
from .base import Section
from .certificate import Certificate
from .discrete import DiscreteConfig
from .events import EventConfig
from .flow import FlowConfig, GradientFlow
from .init import FileInit, InitConfig, KaimingUniform, Theory
from .kinds import KIND_CHECKS
from .model import CooccurrenceTransformer
from .remark import Remark
from .save import GivenTimes, LogTimes, SaveConfig
from .scaling import PLACES, Scaling
from .solver import Solver
from .task import CooccurrenceTask, FileTask, TaskConfig
from .task_checks import TASK_CHECKS

LARGEST_WEIGHTS = 2 * 10**9  # numbers: 16 GB in float64
LARGE_WEIGHTS = 2 * 10**8  # above it drawing coordinates instead pays


def remarks(sections: Mapping[str, Any]) -> list[Remark]:
    """Everything that is inconsistent among these sections."""
    found = []
    for check in CHECKS:
        needed = inspect.signature(check).parameters
        if all(name in sections and _of_kind(sections[name], asked.annotation) for name, asked in needed.items()):
            found.extend(check(**{name: sections[name] for name in needed}))
    return found


def _of_kind(section: Any, asked: Any) -> bool:
    """A check that asks for some kinds of a section says nothing of the others."""
    if typing.get_origin(asked) is typing.Annotated:
        asked = typing.get_args(asked)[0]
    options = typing.get_args(asked) if isinstance(asked, types.UnionType) else (asked,)
    kinds = tuple(kind for kind in options if isinstance(kind, type) and issubclass(kind, Section))
    return not kinds or isinstance(section, kinds)


def _width(
    model: CooccurrenceTransformer,
    task: CooccurrenceTask | FileTask,
    init: InitConfig,
    flow: GradientFlow,
    discrete: tuple[DiscreteConfig, ...],
    certificate: Certificate,
) -> Iterator[Remark]:
    if model.width == math.inf:
        yield from _limit(task, init, flow, discrete, certificate)
    elif _numbers(model, task) > LARGEST_WEIGHTS:
        what = f"weights of more than {LARGEST_WEIGHTS:.0e} numbers, which are never formed but drawn in law"
        yield from _needs_matrices(init, flow, discrete, what)
        if 5 * task.vocabulary**2 > LARGEST_WEIGHTS:
            limit = math.isqrt(LARGEST_WEIGHTS // 5)
            yield Remark(("task", "vocabulary"), f"must be at most {limit} for {what}", "lower it, or model.width")


def _numbers(model: CooccurrenceTransformer, task: CooccurrenceTask | FileTask) -> int | float:
    """How many weights there are."""
    return model.width * (model.neurons + 3 * task.vocabulary)


def drawn_in_law(experiment: Any) -> bool:
    """Are the weights' coordinates drawn rather than the weights? Where these are large and nothing needs them."""
    if not isinstance(experiment.flow, GradientFlow) or experiment.model.width == math.inf:
        return False
    if _numbers(experiment.model, experiment.task) <= LARGE_WEIGHTS:
        return False
    return not list(_needs_matrices(experiment.init, experiment.flow, experiment.discrete, ""))


def _needs_matrices(
    init: InitConfig, flow: GradientFlow, discrete: tuple[DiscreteConfig, ...], what: str
) -> Iterator[Remark]:
    """Everything in an experiment that only the matrices themselves can give."""
    if isinstance(init, KaimingUniform | FileInit):
        yield Remark(
            ("model", "width"), f"asks for {what}",
            "lower it, or take a Gaussian init: kaiming_normal, gaussian or theory"
        )  # fmt: skip
    if init.balanced:
        yield Remark(("init", "balanced"), f"must be false for {what}")
    if flow.reduction not in ("auto", "rotation", "vocabulary", "gram"):
        yield Remark(("flow", "reduction"), f"must be auto, rotation, vocabulary or gram for {what}")
    yield from _equivariant(discrete, what)


def _equivariant(discrete: tuple[DiscreteConfig, ...], what: str) -> Iterator[Remark]:
    """Steps of gradient descent stay in the span of the start; those that scale weight by weight do not."""
    for i, run in enumerate(discrete):
        if run.optimizer != "sgd":
            yield Remark(("discrete", i, "optimizer"), f"must be sgd for {what}: the others work weight by weight")


def _limit(
    task: TaskConfig,
    init: InitConfig,
    flow: GradientFlow,
    discrete: tuple[DiscreteConfig, ...],
    certificate: Certificate,
) -> Iterator[Remark]:
    """What the limit of infinite width has, and what it has not."""
    if not isinstance(init, Theory):
        yield Remark(
            ("model", "width"), "asks for the limit of infinite width, where the scales must fall with the width",
            "lower it, or take the Gaussian init that scales so: theory"
        )  # fmt: skip
    if init.balanced or init.scale != 1:
        yield Remark(("init",), "must be plain in the limit of infinite width", "remove balanced and scale")
    if flow.reduction not in ("auto", "none"):
        yield Remark(("flow", "reduction"), "must be auto in the limit of infinite width, which has no smaller state")
    if certificate.method == "gram":
        yield Remark(("certificate", "method"), "must be solver in the limit of infinite width: it has no Gram system")
    yield from _equivariant(discrete, "the limit of infinite width")
    if getattr(task, "embedding", None) is not None:
        yield Remark(("task", "embedding"), "must be left out in the limit of infinite width")


def _tolerance(solver: Solver, precision: str) -> Iterator[Remark]:
    floor = SMALLEST_RTOL[precision]
    if solver.rtol is not None and solver.rtol < floor:
        better = " or use precision: float64" if precision == "float32" else ""
        yield Remark(
            ("solver", "rtol"),
            f"must be at least {floor:g} in {precision}, whose rounding is about as large",
            f"raise it{better}",
        )


def _step(solver: Solver, flow: FlowConfig) -> Iterator[Remark]:
    if solver.step is None:
        if solver.kind != "auto" and not BY_KIND[solver.kind].adaptive:
            why = f"{solver.kind} has no error estimate and needs a fixed step size"
            yield Remark(("solver", "step"), f"is missing; {why}")
        return
    if solver.kind == "auto":
        yield Remark(("solver", "step"), "must come with a solver by name", "set solver.kind, or remove step")
    if solver.step > flow.t1:
        yield Remark(("solver", "step"), f"must be at most flow.t1 = {flow.t1:g}")
    elif flow.t1 / solver.step > solver.max_steps:
        yield Remark(
            ("solver", "step"),
            f"must be at least flow.t1 / solver.max_steps = {flow.t1 / solver.max_steps:.3g}",
            "raise it, or raise max_steps",
        )


def _event_names(events: tuple[EventConfig, ...]) -> Iterator[Remark]:
    seen = set()
    for i, event in enumerate(events):
        if event.name in seen:
            yield Remark(
                ("events", i, "name"), f"must be unique, and {event.name} is taken", "give this event a `name`"
            )
        seen.add(event.name)


def _save_times(save: SaveConfig, flow: FlowConfig) -> Iterator[Remark]:
    if isinstance(save, LogTimes) and save.first is not None and save.first >= flow.t1:
        yield Remark(("save", "first"), f"must be below flow.t1 = {flow.t1:g}")
    if not isinstance(save, GivenTimes):
        return
    previous = -1.0
    for i, time in enumerate(save.times):
        if time <= previous:
            yield Remark(("save", "times", i), f"must be above the time before it, {previous:g}: times increase")
        if time > flow.t1:
            yield Remark(("save", "times", i), f"must be at most flow.t1 = {flow.t1:g}")
        previous = time


def _momentum(discrete: tuple[DiscreteConfig, ...]) -> Iterator[Remark]:
    for i, run in enumerate(discrete):
        if run.momentum is not None and run.optimizer != "sgd":
            yield Remark(("discrete", i, "momentum"), f"must be left out for {run.optimizer}; only sgd takes it")


def _unique_figures(figures: tuple[str, ...]) -> Iterator[Remark]:
    for i, figure in enumerate(figures):
        if figure in figures[:i]:
            yield Remark(("figures", i), "must be listed once")


def _unique_seeds(seeds: tuple[int, ...]) -> Iterator[Remark]:
    if len(set(seeds)) < len(seeds):
        yield Remark(("seeds",), "must be different from one another")


def _scaling(
    scaling: tuple[Scaling, ...],
    task: TaskConfig,
    model: CooccurrenceTransformer,
    init: InitConfig,
    flow: GradientFlow,
    discrete: tuple[DiscreteConfig, ...],
    certificate: Certificate,
) -> Iterator[Remark]:
    """Every size must make a sound experiment."""
    sections = {
        "task": task, "model": model, "init": init, "flow": flow, "discrete": discrete, "certificate": certificate,
    }  # fmt: skip
    known = set(remarks(sections))  # said already
    for i, entry in enumerate(scaling):
        place, field = PLACES[entry.over]
        if field not in type(sections[place]).model_fields:
            kind = {"sigma0": "gaussian", "sigma1": "gaussian", "c0": "theory", "c1": "theory"}.get(
                field, "cooccurrence"
            )
            yield Remark(("scaling", i, "over"), f"must be a key of {place}", f"take {place}: {kind}")
            continue
        for j, value in enumerate(entry.values):
            path = ("scaling", i, "values", j)
            if place != "init" and value != int(value):
                yield Remark(path, "must be a whole number")
                continue
            size = value if place == "init" else int(value)
            changed = {**sections, place: sections[place].model_copy(update={field: size})}
            for found in remarks(changed):
                if found not in known:
                    what = ".".join(map(str, found.path))
                    yield Remark(path, f"makes {what} unsound, which {found.message}", found.remedy)


CHECKS: tuple[Callable[..., Iterator[Remark]], ...] = (
    *TASK_CHECKS,
    _width,
    _tolerance,
    _step,
    _event_names,
    _save_times,
    _momentum,
    _unique_figures,
    _unique_seeds,
    *KIND_CHECKS,
    _scaling,
)
