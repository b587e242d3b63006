"""Which probes go with a model, a task and a flow."""

from collections.abc import Callable, Iterator

from .flow import FlowConfig
from .model import (
    CooccurrenceTransformer,
    ModelConfig,
    PluginModel,
    TransformerModel,
    meant,
    names_parameters,
    parameter_names,
)
from .probes import (
    AttentionMap,
    Fresh,
    InductionScore,
    Margins,
    Norm,
    PluginProbe,
    ProbeConfig,
    Rank,
    Sharpness,
    SubspaceAlignment,
)
from .remark import Remark
from .task import FileTask, InContextRegressionTask, PluginTask, RegressionTask, TaskConfig

_OF_MATRICES = (Fresh, Norm, Rank, Sharpness, SubspaceAlignment, InductionScore)


def _probes_of_model(probes: tuple[ProbeConfig, ...], model: ModelConfig, task: TaskConfig) -> Iterator[Remark]:
    known = isinstance(model, CooccurrenceTransformer | TransformerModel)
    for i, probe in enumerate(probes):
        if isinstance(probe, AttentionMap | InductionScore) and not known:
            yield Remark(("probes", i), f"must not be {probe.kind}: attention of the model {model.kind} is not known",
                         "take a model with heads, or a plugin's probe")  # fmt: skip
        samples = getattr(task, "samples", None)
        if (
            isinstance(probe, AttentionMap)
            and probe.sample is not None
            and samples is not None
            and probe.sample >= samples
        ):
            yield Remark(("probes", i, "sample"), f"must be below task.samples = {samples}: samples count from 0")


def _probes_of_task(probes: tuple[ProbeConfig, ...], task: TaskConfig) -> Iterator[Remark]:
    for i, probe in enumerate(probes):
        if isinstance(probe, Fresh) and isinstance(task, FileTask | PluginTask):
            yield Remark(("probes", i), f"must not be fresh for the task {task.kind}, whose law is not known",
                         "take a plugin's probe that holds samples of its own")  # fmt: skip
        if isinstance(probe, Margins) and isinstance(task, InContextRegressionTask | RegressionTask):
            yield Remark(("probes", i), f"must not be margins for the task {task.kind}: numbers are not right or wrong")
        if isinstance(probe, InductionScore) and isinstance(task, InContextRegressionTask | RegressionTask):
            yield Remark(("probes", i), f"must not be induction_score for the task {task.kind}, which has no words")


def _probes_of_matrices(probes: tuple[ProbeConfig, ...], flow: FlowConfig) -> Iterator[Remark]:
    for i, probe in enumerate(probes):
        if flow.reduction == "gram" and isinstance(probe, _OF_MATRICES):
            yield Remark(("probes", i), f"must not be {probe.kind} with the reduction gram, which forms no matrices",
                         "set flow.reduction: auto")  # fmt: skip


def _probe_name(probe: ProbeConfig) -> str:
    if isinstance(probe, PluginProbe):
        return probe.use
    names = [name for _, name in _names_in(probe)]
    return f"{probe.kind} of {' and '.join(names)}" if names else probe.kind


def _names_in(probe: ProbeConfig) -> list[tuple[str, str]]:
    """Keys and names of parameters in an entry of `probes`."""
    found = [(key, getattr(probe, key, None)) for key in ("of", "to")]
    return [(key, name) for key, name in found if name is not None]


def _probe_names(probes: tuple[ProbeConfig, ...]) -> Iterator[Remark]:
    names = [_probe_name(probe) for probe in probes]
    for i, name in enumerate(names):
        if name in names[:i]:
            yield Remark(("probes", i), f"must be listed once, and {name} is there already")


def _names_in_probes(probes: tuple[ProbeConfig, ...], model: ModelConfig) -> Iterator[Remark]:
    if isinstance(model, PluginModel):
        return
    known = parameter_names(model)
    for i, probe in enumerate(probes):
        for key, name in _names_in(probe):
            if isinstance(probe, Rank | SubspaceAlignment) and name not in known:
                yield Remark(("probes", i, key), f"must name one matrix of the model, and {name} is none",
                             meant(name, known))  # fmt: skip
            elif not names_parameters(name, known):
                yield Remark(("probes", i, key), f"must name trained parameters of the model, and {name} is none",
                             meant(name, known))  # fmt: skip


PROBE_CHECKS: tuple[Callable[..., Iterator[Remark]], ...] = (
    _probes_of_model,
    _probe_names,
    _probes_of_task,
    _probes_of_matrices,
    _names_in_probes,
)
