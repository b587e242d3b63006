"""Which kinds of task, model, loss, start and flow go together."""

from collections.abc import Callable, Iterator

from ... import plugin
from ...solver_names import SYMMETRIC
from .certificate import Certificate
from .compare import whole_steps
from .events import (
    AttentionMoves,
    CommonWordTurns,
    EventConfig,
    MarginReached,
    MlpAligned,
    Phase1End,
)
from .flow import FlowConfig, GradientFlow, ModifiedGradientFlow, _Flow
from .init import AsMade, InitConfig, KaimingNormal, KaimingUniform, PluginInit
from .kinds_of_probes import PROBE_CHECKS
from .loss import LossConfig, PluginLoss
from .model import (
    CooccurrenceTransformer,
    DeepLinearModel,
    MlpModel,
    ModelConfig,
    PluginModel,
    TransformerModel,
    meant,
    names_parameters,
    parameter_names,
)
from .probes import ProbeConfig
from .remark import Remark
from .solver import Solver
from .task import (
    CooccurrenceLanguageTask,
    CooccurrenceTask,
    FileTask,
    InContextRegressionTask,
    NextTokenTask,
    PluginTask,
    RegressionTask,
    TaskConfig,
)

LARGEST_TABLE = 10**8  # transitions of a Markov chain
_SIGNS = (CooccurrenceTask, FileTask)  # labels are ±1
_WORDS = (NextTokenTask, CooccurrenceLanguageTask)  # labels are words
_READABLE = {  # the models of a task
    **dict.fromkeys(_SIGNS, (CooccurrenceTransformer, TransformerModel)),
    **dict.fromkeys((*_WORDS, InContextRegressionTask), (TransformerModel,)),
    RegressionTask: (DeepLinearModel, MlpModel),
}


def _kind(section: type) -> str:
    return section.model_fields["kind"].default


def _model_reads_task(task: TaskConfig, model: ModelConfig) -> Iterator[Remark]:
    allowed = _READABLE.get(type(task))
    if allowed is not None and not isinstance(model, (*allowed, PluginModel)):
        kinds = " or ".join(_kind(m) for m in allowed)
        yield Remark(("model", "kind"), f"must be {kinds} for the task {task.kind}")


def _loss_of_labels(task: TaskConfig, loss: LossConfig) -> Iterator[Remark]:
    if isinstance(task, PluginTask) or isinstance(loss, PluginLoss):
        return
    if isinstance(task, _SIGNS):
        allowed, what = ("logistic", "squared", "exponential"), "labels are ±1"
    elif isinstance(task, _WORDS):
        allowed, what = ("cross_entropy",), "labels are words"
    else:
        allowed, what = ("squared",), "labels are numbers"
    if loss.kind not in allowed:
        yield Remark(("loss",), f"must be {' or '.join(allowed)} for the task {task.kind}, whose {what}")


def _start_of_model(model: ModelConfig, init: InitConfig) -> Iterator[Remark]:
    if isinstance(model, CooccurrenceTransformer):
        return
    if isinstance(model, PluginModel) and not isinstance(init, AsMade | PluginInit):
        yield Remark(("init",), "must be as_made or a plugin for a model of your own, which draws its weights itself")
    elif not isinstance(init, KaimingUniform | KaimingNormal | AsMade | PluginInit):
        yield Remark(("init", "kind"), f"must be kaiming_uniform or kaiming_normal for the model {model.kind}",
                     "its arrays are not the paper's")  # fmt: skip
    if init.balanced:
        yield Remark(("init", "balanced"), f"must be false for the model {model.kind}, which has no one W_Q")


def _transformer(model: TransformerModel, task: TaskConfig) -> Iterator[Remark]:
    if model.width % model.heads:
        yield Remark(("model", "width"), f"must be divisible by model.heads = {model.heads}",
                     f"take {(model.width // model.heads + 1) * model.heads}")  # fmt: skip
    if model.neurons is None and not model.residual:
        yield Remark(("model", "neurons"), "is missing; without residual the heads end in the neurons")
    each = isinstance(task, NextTokenTask) and task.predict == "each"
    if each != (model.readout == "each"):
        wanted = (
            "each, as the task has a label at each position" if each else "sum, mean or last, as samples have one label"
        )
        yield Remark(("model", "readout"), f"must be {wanted}")
    if each and not model.causal:
        yield Remark(("model", "causal"), "must be true where each position is predicted: the others hold the answer")


def _events_of_model(events: tuple[EventConfig, ...], task: TaskConfig, model: ModelConfig) -> Iterator[Remark]:
    for i, event in enumerate(events):
        if isinstance(event, MlpAligned | CommonWordTurns) and not isinstance(model, CooccurrenceTransformer):
            yield Remark(("events", i), f"must not be {event.kind}: only cooccurrence_transformer has it")
        if isinstance(event, AttentionMoves) and isinstance(model, DeepLinearModel | MlpModel):
            yield Remark(("events", i), f"must not be {event.kind}: {model.kind} has no attention")
        if isinstance(event, Phase1End | MarginReached) and isinstance(task, InContextRegressionTask | RegressionTask):
            why = "numbers are not right or wrong"
            yield Remark(("events", i), f"must not be {event.kind} for the task {task.kind}: {why}",
                         "take loss_below or gradient_below, or write `events: []`")  # fmt: skip


def _chain(task: NextTokenTask) -> Iterator[Remark]:
    if task.vocabulary ** (task.order + 1) > LARGEST_TABLE:
        yield Remark(
            ("task", "order"), f"must be such that vocabulary^(order + 1) is at most {LARGEST_TABLE:.0e} transitions"
        )


def _language_groups(task: CooccurrenceLanguageTask) -> Iterator[Remark]:
    if task.exact_groups and task.samples % 6:
        near = max(round(task.samples / 6), 1) * 6
        yield Remark(("task", "samples"), "must be divisible by 6 for groups of exact size",
                     f"take {near}, or set exact_groups: false")  # fmt: skip


def _regression(task: RegressionTask) -> Iterator[Remark]:
    if task.whitened and task.samples < task.features:
        yield Remark(("task", "samples"), f"must be at least task.features = {task.features} for whitened inputs")
    if task.spectrum is not None and len(task.spectrum) > min(task.features, task.outputs):
        limit = min(task.features, task.outputs)
        yield Remark(("task", "spectrum"), f"must have at most {limit} values, the smaller of features and outputs")


def _names_of_parameters(flow: FlowConfig, model: ModelConfig) -> Iterator[Remark]:
    if isinstance(model, PluginModel):
        return  # its arrays are known only when it is made
    known = parameter_names(model)
    given = [(("flow", "time_scales"), name) for name in flow.time_scales]
    for i, stage in enumerate(flow.stages):
        given += [(("flow", "stages", i, "train"), name) for name in stage.train or ()]
    for path, name in given:
        if not names_parameters(name, known):
            yield Remark(path, f"must name trained parameters of the model, and {name} is none", meant(name, known))


def _stages(flow: FlowConfig, events: tuple[EventConfig, ...]) -> Iterator[Remark]:
    names = [event.name for event in events]
    for i, stage in enumerate(flow.stages):
        last = i == len(flow.stages) - 1
        if last and stage.until is not None:
            yield Remark(("flow", "stages", i, "until"), "must be left out in the last stage, which ends with the run")
        elif not last and stage.until is None:
            yield Remark(("flow", "stages", i), "needs `until`, the event that ends it")
        elif not last and stage.until not in names:
            listed = ", ".join(names) or "none"
            yield Remark(("flow", "stages", i, "until"), f"must be one of the run's events ({listed})")


def _reduction(flow: FlowConfig, certificate: Certificate) -> Iterator[Remark]:
    plain = isinstance(flow, GradientFlow) and not flow.adjusted
    if flow.adjusted and flow.reduction not in ("auto", "none"):
        yield Remark(("flow", "reduction"), "must be auto or none where the velocity is changed parameter by parameter")
    if certificate.method == "gram" and not plain:
        yield Remark(("certificate", "method"), "must be solver: the Gram system is one of the plain gradient flow")


def _symmetric_jacobian(solver: Solver, flow: FlowConfig) -> Iterator[Remark]:
    plain = isinstance(flow, GradientFlow | ModifiedGradientFlow) and not flow.adjusted and flow.reduction != "gram"
    if solver.kind in SYMMETRIC and not plain:
        yield Remark(
            ("solver", "kind"), f"must not be {solver.kind} here: it is for flows whose Jacobian is symmetric, which "
            "are plain gradient and modified_gradient flows in any reduction but gram", "take stabilized",
        )  # fmt: skip


def _registered(
    task: TaskConfig,
    model: ModelConfig,
    loss: LossConfig,
    init: InitConfig,
    flow: FlowConfig,
    events: tuple[EventConfig, ...],
    probes: tuple[ProbeConfig, ...],
) -> Iterator[Remark]:
    """What is used of plugins must be registered."""
    sections = {"task": task, "model": model, "loss": loss, "init": init, "flow": flow}
    used = [((name, "use"), name, section.use) for name, section in sections.items() if section.kind == "plugin"]
    used += [(("events", i, "use"), "event", event.use) for i, event in enumerate(events) if event.kind == "plugin"]
    used += [(("probes", i), "probe", probe.use) for i, probe in enumerate(probes) if probe.kind == "plugin"]
    for path, what, name in used:
        known = plugin.names(what)
        if name not in known:
            listed = f"registered are {', '.join(known)}" if known else "give its module by --plugin FILE"
            yield Remark(path, f"must be registered by a plugin as {what}", listed)


def _width_of_other_flows(flow: _Flow, model: CooccurrenceTransformer) -> Iterator[Remark]:
    if model.width == float("inf") and not (isinstance(flow, GradientFlow) and not flow.adjusted):
        yield Remark(("model", "width"), "must be finite for any flow but the plain gradient flow")


KIND_CHECKS: tuple[Callable[..., Iterator[Remark]], ...] = (
    _model_reads_task,
    _loss_of_labels,
    _start_of_model,
    _transformer,
    _events_of_model,
    *PROBE_CHECKS,
    _chain,
    _language_groups,
    _regression,
    _names_of_parameters,
    _stages,
    _reduction,
    _symmetric_jacobian,
    _width_of_other_flows,
    _registered,
    whole_steps,
)
