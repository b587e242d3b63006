"""`probes`: what is measured beside the standard set."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ._base import Identifier, Section, Whole


class Sharpness(Section):
    """The `count` largest eigenvalues of the Hessian of the loss by `steps` Lanczos steps at every saved time."""

    kind: Literal["sharpness"] = "sharpness"
    count: Annotated[Whole, Field(ge=1, le=24)] = 1
    steps: Annotated[Whole, Field(ge=24, le=1000)] = 24


class AttentionMap(Section):
    """What every head attends to: of training sample number `sample`, or their mean."""

    kind: Literal["attention_map"] = "attention_map"
    sample: Annotated[Whole, Field(ge=0)] | None = None


class PluginProbe(Section):
    """A probe whose function a plugin registers under `use`."""

    kind: Literal["plugin"] = "plugin"
    use: Identifier


def _named(value: Any) -> Any:
    """A name alone is that of a probe of ours, or else of a plugin's."""
    if not isinstance(value, str):
        return value
    return {"kind": value} if value in KINDS else {"kind": "plugin", "use": value}


KINDS = ("sharpness", "attention_map")
ProbeConfig = Annotated[Sharpness | AttentionMap | PluginProbe, Field(discriminator="kind"), BeforeValidator(_named)]
