"""`scaling`: the experiment again at several sizes, for exponents (read by `flowsim verify`)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from .base import Listed, Positive, Section, Whole

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


class Scaling(Section):
    """**Fields:** `over`: what is varied; `values`: its values; `seeds`: how many seeds at each of them, counting up
    from `seed`; `same_stage`: t1 and the first saved time shrink and grow with 1/((σ0²+σ1²) m m1), so that every run
    ends at the same stage of training.
    """

    over: Literal["width", "neurons", "length", "samples", "sigma0", "sigma1", "c0", "c1"]
    values: Annotated[tuple[Positive, ...], Listed, Field(min_length=2, max_length=100)]
    seeds: Annotated[Whole, Field(ge=1, le=1000)] = 3
    same_stage: bool = True


def _one_or_more(value: Any) -> Any:
    """A single mapping is short for a list of one."""
    return (value,) if isinstance(value, dict | Scaling) else tuple(value) if isinstance(value, list) else value


ScalingConfig = Annotated[tuple[Scaling, ...], BeforeValidator(_one_or_more), Field(max_length=10)]
