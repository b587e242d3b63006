"""Tasks, models and flows of the kinds beyond the paper's, from their sections."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import PyTree

from .. import flows, losses, models, plugin, tasks
from ..config.schema import FlowConfig, LossConfig, ModelConfig, PluginLoss, TaskConfig, TransformerModel
from ..flows import AbstractFlow
from ..tasks import Task


def task(config: TaskConfig, key: jax.Array) -> Task:
    """A task whose section's fields are the arguments of `flowsim.tasks`' function of the same name."""
    if config.kind == "plugin":
        return plugin.get("task", config.use)(**config.arguments, key=key)
    return getattr(tasks, config.kind)(**config.model_dump(exclude={"kind"}), key=key)


def fresh(config: TaskConfig, samples: int, key: jax.Array, draw: jax.Array) -> Task:
    """Other samples of the law that `key` gave the training samples. They are drawn freely: in no exact groups."""
    given: dict[str, Any] = config.model_dump(exclude={"kind", "embedding"}) | {"samples": samples}
    free = {"exact_groups": False, "distinct_words": False, "whitened": False}
    given |= {name: value for name, value in free.items() if name in given}
    drawn = {"key": key, "draw": draw} if config.kind in ("next_token", "regression") else {"key": draw}
    return getattr(tasks, config.kind)(**given, **drawn)


def loss(config: LossConfig) -> Callable:
    """The per-example loss."""
    if isinstance(config, PluginLoss):
        return plugin.get("loss", config.use)
    return getattr(losses, config.kind)


def model(config: ModelConfig, task: Task, key: jax.Array) -> PyTree:
    """The model, in the sizes of the task's inputs and labels."""
    if config.kind == "plugin":
        return plugin.get("model", config.use)(**config.arguments, task=task, key=key)
    if isinstance(config, TransformerModel):
        return models.Transformer(**config.model_dump(exclude={"kind"}), **_transformer_sizes(config, task), key=key)
    assert config.kind != "cooccurrence_transformer"
    sizes = (task.tokens.shape[-1], *config.hidden, task.labels.shape[-1])
    if config.kind == "deep_linear":
        return models.DeepLinear(sizes=sizes, key=key)
    return models.MLP(sizes=sizes, activation=config.activation, bias=config.bias, key=key)


def _transformer_sizes(config: TransformerModel, task: Task) -> dict[str, Any]:
    outputs = task.vocabulary if task.target == "word" else None
    length = task.length if config.position != "none" else None
    words = task.vocabulary or None
    features = task.tokens.shape[-1] if words is None else None
    return {"vocabulary": words, "features": features, "outputs": outputs, "length": length}


def flow(config: FlowConfig) -> AbstractFlow:
    """The vector field, with what changes its velocity in the order that the section's documentation gives."""
    shared = {"kind", "t1", "reduction", "weight_decay", "time_scales", "clip", "normalised", "stages"}
    if config.kind == "plugin":
        made = plugin.get("flow", config.use)(**config.arguments)
    else:
        made = getattr(flows, config.kind)(**config.model_dump(exclude=shared))
    if config.weight_decay:
        made = flows.weight_decay(made, strength=config.weight_decay)
    if config.time_scales:
        made = flows.time_scales(made, rates=config.time_scales)
    if config.clip is not None:
        made = flows.clipped(made, limit=config.clip)
    if config.normalised:
        made = flows.normalised(made)
    if config.stages:
        made = flows.staged([stage.model_dump() for stage in config.stages], made)
    return made


def step_time(flow: FlowConfig, learning_rate: float, momentum: float | None) -> float:
    """Time that an optimiser's step takes on the flow's clock: η, or heavy ball's with momentum on such a flow."""
    if momentum is not None and flow.kind in ("momentum", "heavy_ball"):
        return flows.heavy_ball_step(learning_rate, momentum)
    return learning_rate
