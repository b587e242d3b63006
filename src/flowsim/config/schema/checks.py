"""What must hold between an experiment's values: each kind's own check, and what holds for every kind."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..kind import Kind, registered
from ..kinds.flow import flow_remarks
from ..kinds.solver import solver_remarks
from ..remark import Remark
from .compare import whole_steps
from .descent import descent_remarks
from .influence import influence_remarks
from .save import save_remarks
from .scaling import Scaling
from .sweep import sweep_remarks

SINGLE = ("task", "model", "init", "loss", "problem", "flow", "solver")  # sections that hold one kind
MANY = ("events", "probes", "figures", "claims", "sensitivities", "log")  # sections that list kinds
_LABELS = {"sign": "labels are ±1", "word": "labels are words", "number": "labels are numbers"}


class _UnsoundError(Exception):
    """A check asks for a section that is wrong in itself: what it would say cannot be known."""


class Sound:
    """The sections without errors, as attributes."""

    def __init__(self, sections: Mapping[str, Any]):
        self._sections = sections

    def __getattr__(self, name: str) -> Any:
        if name not in self._sections:
            from .experiment import Experiment  # which imports this module

            if name not in Experiment.model_fields:  # a check that asks for it is wrong, not the file
                raise AttributeError(f"an experiment has no section {name!r}")
            raise _UnsoundError(name)
        return self._sections[name]


def remarks(sections: Mapping[str, Any]) -> list[Remark]:
    """Everything that is inconsistent among these sections; those that hold errors are left out of `sections`."""
    experiment: Any = Sound(sections)
    found: list[Remark] = []
    for check in CHECKS:
        found += until_unsound(lambda check=check: check(experiment))
    for path, part in parts(sections):
        found += [_placed(remark, path, part) for remark in until_unsound(lambda part=part: part.check(experiment))]
    for remark in until_unsound(lambda: _scaling(experiment, dict(sections), set(found))):
        found.append(remark)
    return list(dict.fromkeys(found))


def until_unsound(check: Callable[[], Iterable[Any] | None]) -> Iterator[Any]:
    """What a check says, until it needs a section that holds errors."""
    try:
        yield from check() or ()
    except _UnsoundError:
        return


def parts(sections: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Kind]]:
    """Every kind of an experiment with its place."""
    for name in SINGLE:
        if sections.get(name) is not None:
            yield (name,), sections[name]
    for name in MANY:
        yield from (((name, i), part) for i, part in enumerate(sections.get(name, ())))


def _placed(remark: Remark, path: tuple[str | int, ...], part: Kind) -> Remark:
    """A remark on a field of a kind, with the kind's own place."""
    own = not remark.path or remark.path[0] in type(part).model_fields
    return remark._replace(path=(*path, *remark.path)) if own else remark


def _whole_problem(experiment: Any) -> Iterator[Remark]:
    if experiment.problem is None:
        return
    for name in ("task", "model", "init", "loss"):
        if getattr(experiment, name) is not None:
            yield Remark((name,), "must be left out: `problem` gives the task, the model, its start and the loss")


def _model_of_task(experiment: Any) -> Iterator[Remark]:
    task, model = experiment.task, experiment.model
    if task is None or model is None or _goes(task, model):
        return
    fit = [name for name, which in registered("model").items() if which.traits.reads and _goes(task, which)]
    yield Remark(("model", "kind"), f"must be {' or '.join(fit)} for the task {task.kind}")


def _goes(task: Any, model: Any) -> bool:
    of_task, of_model = task.traits, model.traits
    reads = of_model.reads is None or of_task.inputs is None or of_task.inputs in of_model.reads
    return reads and (of_model.answers is None or of_task.labels is None or of_task.labels in of_model.answers)


def _loss_of_labels(experiment: Any) -> Iterator[Remark]:
    task, loss = experiment.task, experiment.loss
    if task is None or loss is None or task.traits.labels is None or loss.traits.judges is None:
        return
    labels = task.traits.labels
    if labels not in loss.traits.judges:
        fit = [name for name, which in registered("loss").items() if labels in (which.traits.judges or ())]
        yield Remark(("loss",), f"must be {' or '.join(fit)} for the task {task.kind}, whose {_LABELS[labels]}")


def _start_of_model(experiment: Any) -> Iterator[Remark]:
    model, init = experiment.model, experiment.init
    if model is None or init is None:
        return
    if init.centered and model.kind != "scaled_output":
        yield Remark(("init", "centered"), "must be false", "take model: {kind: scaled_output, network: …}")
    if model.traits.paper:
        return
    if init.traits.starts == "paper":
        what = f"must be kaiming_uniform or kaiming_normal for the model {model.kind}"
        yield Remark(("init", "kind"), what, "its arrays are not the paper's")
    if init.balanced:
        yield Remark(("init", "balanced"), f"must be false for the model {model.kind}, which has no one W_Q")


def _flow(experiment: Any) -> Iterator[Remark]:
    yield from flow_remarks(experiment.flow, experiment)


def _gram(experiment: Any) -> Iterator[Remark]:
    flow = experiment.flow
    if experiment.certificate.method == "gram" and (flow.adjusted or not flow.traits.plain):
        yield Remark(("certificate", "method"), "must be solver: the Gram system is one of the plain gradient flow")


def _solver(experiment: Any) -> Iterator[Remark]:
    yield from solver_remarks(experiment.solver, experiment)


def _unique(name: str, what: Callable[[Any], str], says: str, key: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    """No two entries of a list with the same name."""

    def check(experiment: Any) -> Iterator[Remark]:
        names = [what(part) for part in getattr(experiment, name)]
        for i, one in enumerate(names):
            if one in names[:i]:
                remedy = "give this event a `name`" if key else ""
                yield Remark((name, i, *key), says.format(one), remedy)

    return check


def _probe_name(probe: Any) -> str:
    """What an entry of `probes` measures: the kind, and what it measures it of."""
    given = [value for key in ("of", "to") if (value := getattr(probe, key, None)) is not None]
    names = [" ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in given]
    own = probe.model_dump(exclude={"kind", "of", "to"})
    other = {} if type(probe).__module__.startswith("flowsim.") else own
    return " ".join([f"{probe.kind} of {' and '.join(names)}" if names else probe.kind, *map(str, other.items())])


def _unique_seeds(experiment: Any) -> Iterator[Remark]:
    if len(set(experiment.seeds)) < len(experiment.seeds):
        yield Remark(("seeds",), "must be different from one another")


def _devices_of_seeds(experiment: Any) -> Iterator[Remark]:
    if experiment.seeds and experiment.devices.count > 1:
        remedy = "leave it out: an ensemble has a batch of seeds on each device by itself"
        yield Remark(("devices",), "must be 1 × 1 for several seeds", remedy)


def _scaling(experiment: Any, sections: Mapping[str, Any], known: set[Remark]) -> Iterator[Remark]:
    """Every size must make a sound experiment. `known`: said already of the experiment itself."""
    for i, entry in enumerate(experiment.scaling):
        place, field = entry.place
        section = sections.get(place)
        if place in sections and field not in getattr(type(section), "model_fields", {}):
            kind = {"sigma0": "gaussian", "sigma1": "gaussian", "c0": "theory", "c1": "theory"}.get(field)
            remedy = f"take {place}: {kind}" if kind else "take task: cooccurrence" if place == "task" else ""
            yield Remark(("scaling", i, "over"), f"must be a key of {place}", remedy)
        elif place in sections:
            yield from _each_size(i, entry, sections, known)
        elif place not in SINGLE:
            yield Remark(("scaling", i, "over"), "must be a key of a section, as in task.features")


def _each_size(i: int, entry: Scaling, sections: Mapping[str, Any], known: set[Remark]) -> Iterator[Remark]:
    place, field = entry.place
    whole = isinstance(getattr(sections[place], field), int)
    for j, value in enumerate(entry.values):
        path = ("scaling", i, "values", j)
        if whole and value != int(value):
            yield Remark(path, "must be a whole number")
            continue
        changed = sections[place].model_copy(update={field: int(value) if whole else value})
        for found in remarks({**sections, place: changed, "scaling": ()}):
            if found not in known:
                what = ".".join(map(str, found.path))
                yield Remark(path, f"makes {what} unsound, which {found.message}", found.remedy)


CHECKS: tuple[Callable[[Any], Iterable[Remark]], ...] = (
    _whole_problem,
    _model_of_task,
    _loss_of_labels,
    _start_of_model,
    _flow,
    _gram,
    _solver,
    save_remarks,
    descent_remarks,
    whole_steps,
    influence_remarks,
    sweep_remarks,
    _unique("events", lambda event: event.name, "must be unique, and {} is taken", ("name",)),
    _unique("probes", _probe_name, "must be listed once, and {} is there already"),
    _unique("figures", lambda figure: figure.kind, "must be listed once"),
    _unique_seeds,
    _devices_of_seeds,
)

__all__ = ["MANY", "SINGLE", "Sound", "parts", "remarks", "until_unsound"]
