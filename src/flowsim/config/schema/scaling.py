"""`scaling`: the experiment again at several sizes, for exponents (read by `flowsim verify`)."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ..base import Listed, Positive, Section, Short, Whole, about, as_tuple

PLACES = {
    "width": ("model", "width"),
    "neurons": ("model", "neurons"),
    "length": ("task", "length"),
    "samples": ("task", "samples"),
    "sigma0": ("init", "sigma0"),
    "sigma1": ("init", "sigma1"),
    "c0": ("init", "c0"),
    "c1": ("init", "c1"),
}
"""Short names of keys that are often varied."""


class Scaling(Section):
    """A size that is varied."""

    over: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$", max_length=100)] = Field(
        description=f"What is varied: {', '.join(PLACES)}, or any key of a section, as in task.features.",
        examples=["width"],
    )
    values: Annotated[tuple[Positive, ...], Listed, Field(min_length=2, max_length=100)] = about(
        "Its values.", example=[128, 256, 512], unit="that of the key"
    )
    seeds: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        default=3, description="How many seeds at each of them, counting up from `seed`."
    )
    same_stage: bool = Field(
        default=True,
        description="t1 and the first saved time shrink and grow with 1/((σ0²+σ1²) m m1), so that every run ends at "
        "the same stage of training.",
    )

    @property
    def place(self) -> tuple[str, str]:
        """The section and the key that are varied."""
        section, _, key = self.over.partition(".")
        return PLACES.get(self.over, (section, key))


def _one_or_more(value: Any) -> Any:
    """A single mapping is short for a list of one."""
    return as_tuple(value, dict, Scaling)


ScalingConfig = Annotated[tuple[Scaling, ...], BeforeValidator(_one_or_more), Field(max_length=10), Short()]
