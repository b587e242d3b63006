"""`evaluation` and `devices`: how the risk is computed; they change the cost of a run, not what it means."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ..base import Count, Section, Short


def _all(value: Any) -> Any:
    return None if value == "all" else value


class Evaluation(Section):
    """How many samples are in memory at once."""

    samples_at_once: Annotated[Count | None, BeforeValidator(_all), Short({"const": "all"})] = Field(
        default=None,
        description="The risk and its gradient are summed over parts of this many samples; `all` for one part, "
        "chosen by memory.",
        examples=[1024],
    )


class Devices(Section):
    """One run over several devices."""

    samples: Count = Field(default=1, description="Parts of the samples, each on devices of its own.", examples=[4])
    parameters: Count = Field(default=1, description="Parts of the parameters' arrays.", examples=[2])

    @property
    def count(self) -> int:
        """How many devices are used."""
        return self.samples * self.parameters
