"""`init`: where the flow starts."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Arguments, FilePath, Identifier, NotNegative, Positive, Section, ShortKind


class _Init(Section):
    """**Fields:** `scale`: every trained weight is multiplied by it; `balanced`: W_Q is W_K times a random rotation."""

    scale: Positive = 1.0
    balanced: bool = False


class KaimingUniform(_Init):
    """U(±1/√fan_in)."""

    kind: Literal["kaiming_uniform"] = "kaiming_uniform"


class KaimingNormal(_Init):
    """N(0, 2/fan_in)."""

    kind: Literal["kaiming_normal"] = "kaiming_normal"


class Gaussian(_Init):
    """W ~ N(0, sigma1²), the rest N(0, sigma0²)."""

    kind: Literal["gaussian"] = "gaussian"
    sigma0: NotNegative
    sigma1: NotNegative


class Theory(_Init):
    """Gaussian with the scales of Condition 1: sigma0 = c0/√(L m), sigma1 = c1/√m1."""

    kind: Literal["theory"] = "theory"
    c0: Positive = 0.25
    c1: Positive = 0.25


class FileInit(_Init):
    """Weights `W`, `W_V`, `W_K`, `W_Q`, `a` from an `.npz` or `.safetensors` file."""

    kind: Literal["file"] = "file"
    path: FilePath


class AsMade(_Init):
    """What the model drew itself when it was made."""

    kind: Literal["as_made"] = "as_made"


class PluginInit(_Init):
    """An initialiser that a plugin registers under `use`."""

    kind: Literal["plugin"] = "plugin"
    use: Identifier
    arguments: Arguments = Field(default_factory=dict)


InitConfig = Annotated[
    KaimingUniform | KaimingNormal | Gaussian | Theory | FileInit | AsMade | PluginInit,
    Field(discriminator="kind"),
    ShortKind,
]
