"""The page of a sweep."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..plot import style
from ..plot.sweep import SweepFigure
from .parts import TEMPLATES
from .style import CSS

_FAILED = 200  # members that are listed; sweep.csv has all


def sweep_page(
    name: str,
    *,
    counts: Mapping[str, int],
    axes: Sequence[Mapping[str, Any]],
    figures: Iterable[tuple[SweepFigure, bytes]] = (),
    exponents: Sequence[Any] = (),
    failed: Sequence[Mapping[str, str]] = (),
) -> str:
    """`report.html` over a sweep.

    **Arguments:** `axes`: `key`, `points` and `values` in words; `figures` with their PNG; `failed`: `member`,
    `values` and `reason`.
    """
    shown = [{"caption": one.caption, "png": base64.b64encode(png).decode("ascii")} for one, png in figures]
    return TEMPLATES.get_template("sweep.html").render(
        name=name, css=CSS, counts=counts, axes=axes, figures=shown, exponents=exponents, failed=failed[:_FAILED]
    )


def rendered_sweep(one: SweepFigure) -> dict[str, bytes]:
    """A sweep's figure as files by their names."""
    return {f"{one.name}.{form}": style.rendered(one.figure, form) for form in ("png", "pdf")}
