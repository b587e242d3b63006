"""Several runs side by side: what their files say differently, and what came out differently beyond the error."""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from .._files import write_text
from ..plot import overlay, rendered
from ..store import Run
from .numbers import error, flat, measured, number
from .parts import TEMPLATES
from .style import CSS

_CURVES = 6  # probes that are drawn
_FIRST = ("loss", "min_margin", "gradient_norm")


@dataclasses.dataclass(frozen=True)
class Side:
    """A number of one run, with a bound on its error where there is one; both None where the run has none.

    **Fields:** `never`: the number is the time of an event that was watched and did not happen.
    """

    value: float | None
    error: float | None
    never: bool = False

    @property
    def text(self) -> str:
        if self.value is None:
            return "never" if self.never else "–"
        return measured(self.value, self.error)


@dataclasses.dataclass(frozen=True)
class Row:
    """One quantity of all runs.

    **Fields:** `verdict`: `same` (within the errors), `differs` (beyond them), or `unknown` (a run has no value, or no
    error bound); `spread`: the largest difference of two runs; `allowed`: the largest that their errors explain.
    """

    name: str
    sides: tuple[Side, ...]
    verdict: str
    spread: float | None
    allowed: float | None

    @property
    def said(self) -> str:
        if self.spread is None:
            return "happened in no run" if all(side.never for side in self.sides) else "not in every run"
        if self.allowed is None:
            return f"spread {error(self.spread)}; no error bound"
        sign = ">" if self.verdict == "differs" else "≤"
        return f"{self.verdict}: spread {error(self.spread)} {sign} {error(self.allowed)}, the sum of the errors"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    **Fields:** `names` of the runs; `keys`: what their files say differently, key -> a value for each run; `events`:
    first times; `final`: scalar probes at the end.
    """

    names: tuple[str, ...]
    keys: dict[str, tuple[str, ...]]
    events: tuple[Row, ...]
    final: tuple[Row, ...]

    def __str__(self) -> str:
        lines = [f"{len(self.names)} runs: {', '.join(self.names)}"]
        lines += [f"  {key}: {' | '.join(values)}" for key, values in self.keys.items()]
        for title, rows in (("events", self.events), ("at the end", self.final)):
            lines += [f"{title}:"] if rows else []
            lines += [f"  {row.name}: {' | '.join(side.text for side in row.sides)}  ({row.said})" for row in rows]
        return "\n".join(lines)


def compare_runs(names: Sequence[str], runs: Sequence[Run], files: Sequence[Mapping[str, Any]]) -> Comparison:
    """Compare runs with each other.

    **Arguments:** `files`: the experiment of each as nested mappings, with every default but those of lists' entries.
    """
    leaves = [dict(flat(_one_line_a_list(file))) for file in files]
    keys = list(dict.fromkeys(key for file in leaves for key in file))
    values = {key: tuple(number(file.get(key)) if key in file else "–" for file in leaves) for key in keys}
    events = list(dict.fromkeys(name for run in runs for name in run.events))
    curves = [_over_seeds(run.dataset) for run in runs]
    probes = list(dict.fromkeys(name for one in curves for name in _scalars(one)))
    return Comparison(
        tuple(names),
        {key: found for key, found in values.items() if len(set(found)) > 1},
        tuple(_row(name, [_event(run, name) for run in runs]) for name in events),
        tuple(_row(name, [_end(one, name) for one in curves]) for name in probes),
    )


def _one_line_a_list(value: Any) -> Any:
    """Mappings with every list of mappings or lists in them as the text that one would write."""
    match value:
        case Mapping():
            return {key: _one_line_a_list(item) for key, item in value.items()}
        case list() | tuple() if any(isinstance(item, Mapping | list | tuple) for item in value):
            return ", ".join(map(_written, value))
        case _:
            return value


def _written(value: Any) -> str:
    match value:
        case Mapping() if list(value) == ["kind"]:
            return str(value["kind"])
        case Mapping():
            return "{" + ", ".join(f"{key}: {_written(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_written, value)) + "]"
        case _:
            return number(value)


def _row(name: str, sides: Sequence[Side]) -> Row:
    """Two numbers differ where their distance is more than both errors together; of several runs any two count."""
    found = [side for side in sides if side.value is not None]
    if len(found) < len(sides) or len(sides) < 2:
        return Row(name, tuple(sides), "unknown", None, None)
    pairs = [(a, b) for i, a in enumerate(found) for b in found[:i]]
    spread = max(abs(a.value - b.value) for a, b in pairs)
    if any(side.error is None for side in found):
        return Row(name, tuple(sides), "unknown", spread, None)
    worst = max(pairs, key=lambda pair: abs(pair[0].value - pair[1].value) - pair[0].error - pair[1].error)
    distance, allowed = abs(worst[0].value - worst[1].value), worst[0].error + worst[1].error
    return Row(name, tuple(sides), "differs" if distance > allowed else "same", distance, allowed)


def _event(run: Run, name: str) -> Side:
    record = run.events.get(name)
    return Side(None, None) if record is None else Side(record.time, record.uncertainty, never=record.time is None)


def _over_seeds(dataset: xarray.Dataset) -> xarray.Dataset:
    """Of an ensemble the medians, with the largest of the seeds' error bounds, which bounds the median's too."""
    if "seed" not in dataset.dims:
        return dataset
    bands = [name for name in dataset.data_vars if str(name).endswith("_error")]
    medians = dataset.drop_vars(bands).median("seed", keep_attrs=True)
    return medians.merge(dataset[bands].max("seed", skipna=False, keep_attrs=True))


def _scalars(dataset: xarray.Dataset) -> list[str]:
    names = [str(name) for name, values in dataset.data_vars.items() if values.dims == ("time",)]
    return [name for name in names if not (name.endswith("_error") and name[:-6] in names)]


def _end(dataset: xarray.Dataset, name: str) -> Side:
    if name not in dataset or not dataset.sizes["time"]:
        return Side(None, None)
    value = float(dataset[name][-1])
    band = float(dataset[f"{name}_error"][-1]) if f"{name}_error" in dataset else np.nan
    return Side(value if np.isfinite(value) else None, band if np.isfinite(band) else None)


def write_comparison(found: Comparison, runs: Sequence[Run], path: Path) -> None:
    """Write the page with the curves over each other."""
    data = {name: _over_seeds(run.dataset) for name, run in zip(found.names, runs, strict=True)}
    drawn = [row.name for row in found.final if sum(row.name in one for one in data.values()) > 1]
    drawn = sorted(drawn, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))[:_CURVES]
    figures = [(name, base64.b64encode(rendered(overlay.figure(data, name), "png")).decode()) for name in drawn]
    text = TEMPLATES.get_template("comparison.html").render(
        found=found, differences=found.keys, figures=figures, css=CSS
    )
    write_text(path, text)
