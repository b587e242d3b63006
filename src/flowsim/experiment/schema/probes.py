"""`probes`: what is measured beside the standard set."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ._base import Identifier, Section, Whole


class Sharpness(Section):
    """The `count` largest eigenvalues of the Hessian of the loss by `steps` Lanczos steps at every saved time."""

    kind: Literal["sharpness"] = "sharpness"
    count: Annotated[Whole, Field(ge=1, le=24)] = 1
    steps: Annotated[Whole, Field(ge=24, le=1000)] = 24


class PluginProbe(Section):
    """A probe whose function a plugin registers under `use`."""

    kind: Literal["plugin"] = "plugin"
    use: Identifier


def _named(value: Any) -> Any:
    """A name alone is that of a probe of ours, or else of a plugin's."""
    if not isinstance(value, str):
        return value
    return {"kind": "sharpness"} if value == "sharpness" else {"kind": "plugin", "use": value}


ProbeConfig = Annotated[Sharpness | PluginProbe, Field(discriminator="kind"), BeforeValidator(_named)]
