"""Figures and page of a collected sweep."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import xarray

from .._files import write_bytes, write_text
from .._values import brief
from ..plot import CannotDraw
from ..plot.sweep import draw_sweep, quantity_of
from ..report.sweep import rendered_sweep, sweep_page
from .expand import documented
from .exponents import Exponent, exponents
from .folder import Sweep
from .state import FAILED, LOST, States

_FOLDER = "figures"
_POINTS = 12  # values of an axis that are written out


@dataclasses.dataclass(frozen=True)
class Drawn:
    """**Fields:** `names`: of the figures; `exponents`; `left_out`: what could not be drawn, and why."""

    names: tuple[str, ...]
    exponents: tuple[Exponent, ...]
    left_out: tuple[str, ...]


def draw(sweep: Sweep, dataset: xarray.Dataset, found: States, wanted: Sequence[str] = ()) -> Drawn:
    """Write the figures and the page.

    **Arguments:** `wanted`: quantities; by default the time of each event, and the final loss.

    **Raises:** `CannotDraw` for a wanted quantity that is none.
    """
    (sweep.path / _FOLDER).mkdir(exist_ok=True)
    shown, laws, left = [], [], []
    for quantity in wanted or _usual(dataset):
        try:
            values = quantity_of(dataset, quantity)
            mine = exponents(dataset, quantity, values)
            one = draw_sweep(dataset, quantity, [_sentence(law) for law in mine])
        except CannotDraw as error:
            if quantity in wanted:
                raise
            left.append(f"{quantity}: {error}")
            continue
        files = rendered_sweep(one)
        for name, content in files.items():
            write_bytes(sweep.path / _FOLDER / name, content)
        shown.append((one, files[f"{one.name}.png"]))
        laws += mine
    _write_page(sweep, dataset, found, shown, laws)
    return Drawn(tuple(one.name for one, _ in shown), tuple(laws), tuple(left))


def _usual(dataset: xarray.Dataset) -> list[str]:
    events = [f"event_time.{name}" for name in dataset["event"].values] if "event" in dataset.coords else []
    return [*events, *(name for name in ("final_loss",) if name in dataset)]


def _sentence(law: Exponent) -> str:
    low, high = law.interval
    return f"Grows as {law.axis} to the power {law.exponent:.2f} (95 %: {low:.2f} … {high:.2f})."


def _write_page(sweep: Sweep, dataset: xarray.Dataset, found: States, shown: Any, laws: Sequence[Exponent]) -> None:
    axes = [_axis(dataset, str(dim)) for dim in dataset["status"].dims]
    failed = [
        {"member": one.member.id, "values": documented(one.member), "reason": one.reason}
        for one in found.members
        if one.state in (FAILED, LOST)
    ]
    page = sweep_page(
        sweep.path.resolve().name, counts=found.counts, axes=axes, figures=shown, exponents=laws, failed=failed
    )
    write_text(sweep.path / page_of(sweep), page)


def page_of(sweep: Sweep) -> str:
    """The page's name; in the folder of a run that consists of the members, `report.html` is the run's."""
    return "sweep.html" if (sweep.path / "meta.json").exists() else "report.html"


def _axis(dataset: xarray.Dataset, dim: str) -> dict[str, Any]:
    values = [brief(v) for v in dataset[dim].values.tolist()]
    shown = ", ".join(values if len(values) <= _POINTS else [*values[: _POINTS - 2], "…", values[-1]])
    return {"key": dim, "points": len(values), "values": shown}
