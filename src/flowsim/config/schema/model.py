"""`model`: what learns."""

import difflib
import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from .base import Arguments, Count, Identifier, Listed, Section, ShortKind, wrong


def _width(value: Any) -> Any:
    """Widths are whole numbers, or `.inf` (also `inf`) for the limit of infinite width."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong("must be a whole number >= 1, or .inf")
    if value == "inf" or value == math.inf:
        return math.inf
    if isinstance(value, str) or value != value or value < 1 or value != int(value):
        raise wrong("must be a whole number >= 1, or .inf")
    if value > 10**15:
        raise wrong("must be at most 1e15, or .inf")
    return int(value)


def _spelled(value: int | float) -> int | str:
    """JSON has no infinity; `inf` reads back."""
    return "inf" if isinstance(value, float) else value


Width = Annotated[
    int | Annotated[float, Field(allow_inf_nan=True)],
    BeforeValidator(_width),
    PlainSerializer(_spelled, when_used="json"),
]


Activation = Literal["linear", "relu", "gelu", "tanh"]
Hidden = Annotated[tuple[Count, ...], Listed, Field(max_length=100)]


class CooccurrenceTransformer(Section):
    """The paper's model (specification section 2).

    **Fields:** `width`: m, or infinity for the limit; `neurons`: m1.
    """

    kind: Literal["cooccurrence_transformer"] = "cooccurrence_transformer"
    width: Width
    neurons: Count


class TransformerModel(Section):
    """A transformer of any depth; its fields are the arguments of `flowsim.models.Transformer`."""

    kind: Literal["transformer"] = "transformer"
    layers: Annotated[Count, Field(le=100)] = 1
    heads: Annotated[Count, Field(le=100)] = 1
    width: Count
    neurons: Count | None = None
    activation: Activation = "linear"
    residual: bool = False
    layer_norm: bool = False
    causal: bool = False
    embedding: Literal["one_hot", "learned"] = "one_hot"
    position: Literal["none", "learned", "one_hot"] = "none"
    attention: Literal["softmax", "linear"] = "softmax"
    merged: bool = False
    readout: Literal["sum", "mean", "last", "each"] = "sum"
    train_readout: bool = False


class DeepLinearModel(Section):
    """A product of matrices; `hidden`: the sizes between the input and the output."""

    kind: Literal["deep_linear"] = "deep_linear"
    hidden: Hidden


class MlpModel(Section):
    """A multilayer perceptron; `hidden`: the sizes between the input and the output."""

    kind: Literal["mlp"] = "mlp"
    hidden: Hidden
    activation: Activation = "relu"
    bias: bool = True


class PluginModel(Section):
    """A model that a plugin registers under `use`."""

    kind: Literal["plugin"] = "plugin"
    use: Identifier
    arguments: Arguments = Field(default_factory=dict)


def _papers(value: Any) -> Any:
    """`model: {width: 128, neurons: 256}` is the paper's."""
    return {"kind": "cooccurrence_transformer", **value} if isinstance(value, dict) and "kind" not in value else value


ModelConfig = Annotated[
    CooccurrenceTransformer | TransformerModel | DeepLinearModel | MlpModel | PluginModel,
    Field(discriminator="kind"),
    BeforeValidator(_papers),
    ShortKind,
]


def parameter_names(model: Any) -> list[str]:
    """The trained arrays of a model, by the names that `time_scales` and `train` take."""
    if isinstance(model, CooccurrenceTransformer):
        return ["W", "W_V", "W_K", "W_Q"]
    if isinstance(model, TransformerModel):
        return _transformer_names(model)
    layers = range(len(model.hidden) + 1)
    biases = [f"biases.{i}" for i in layers] if isinstance(model, MlpModel) and model.bias else []
    return [*(f"layers.{i}" for i in layers), *biases]


def names_parameters(name: str, known: list[str]) -> bool:
    """Is it the name of an array, or of a block of them?"""
    return any(full == name or full.startswith(f"{name}.") for full in known)


def meant(name: str, known: list[str]) -> str:
    """What may have been meant by a name that names none of them."""
    by_lower = {full.lower(): full for full in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    if near:
        return f"did you mean {by_lower[near[0]]}"
    return f"they are {', '.join(known[:12])}{', …' * (len(known) > 12)}"


def _transformer_names(model: TransformerModel) -> list[str]:
    names = ["embedding"] if model.residual or model.embedding == "learned" else []
    names += ["positions"] if model.position == "learned" else []
    score = ["W_KQ"] if model.merged else ["W_K", "W_Q"]
    through = model.neurons is not None
    for i in range(model.layers):
        block = f"blocks.{i}"
        names += [f"{block}.heads.{h}.{name}" for h in range(model.heads) for name in ("W_O", "W_V", *score)]
        names += [f"{block}.W"] if through and model.residual else []
        names += [f"{block}.W_out"] if through and (model.residual or i < model.layers - 1) else []
        count = (2 if through and model.residual else 1) if model.layer_norm else 0
        names += [f"{block}.norms.{n}.{name}" for n in range(count) for name in ("gain", "shift")]
    names += ["final_norm.gain", "final_norm.shift"] if model.layer_norm and model.residual else []
    return [*names, "a"] if model.train_readout else names
