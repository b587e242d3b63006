"""Figures and report from a run folder alone."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray

from .. import plot
from .._files import write_text
from . import claims
from .html import Markup
from .page import Illustration, page
from .sentences import INCOMPLETE

DEFAULT_FIGURES = ("loss", "attention", "alignment", "balance")


@dataclasses.dataclass(frozen=True)
class Rebuilt:
    """What `rebuild` wrote: the page, a record for each figure, and the summary that it was made from."""

    report: Path
    figures: list[plot.FigureRecord]
    summary: Mapping[str, Any]


def write(
    directory: Path | str,
    summary: Mapping[str, Any],
    figures: Sequence[plot.FigureRecord],
    experiment_text: str,
    resolved_text: str,
    meta: Mapping[str, Any],
) -> Path:
    """Write `report.html` into a run folder, whole or not at all, with the figures inside it.

    **Arguments:** `figures`: what `flowsim.plot.write_figures` returned; the rest as for `page`.

    **Returns:** the path of the page.
    """
    path = Path(directory) / "report.html"
    pictures = [
        Illustration(
            f.name,
            f.caption,
            f.png.read_bytes() if f.png else None,
            f.skipped_reason,
            f.gif.read_bytes() if f.gif else None,
        )
        for f in figures
    ]
    text = page(summary, pictures, experiment_text, resolved_text, meta, _claims(Path(directory)))
    write_text(path, text)
    return path


def rebuild(
    directory: Path | str,
    *,
    dataset: xarray.Dataset | None = None,
    events: Mapping[str, Sequence[float]] | None = None,
) -> Rebuilt:
    """Redraw the figures and rewrite the report of a run folder, from its files alone.

    It works on a partial run: what is missing is said in the report. The figures are those that `meta.json` names
    under `figures`, else the paper's four.

    **Arguments:** `directory`: the run folder; `dataset`, `events`: the trajectory and all times of each event,
    if they are not (yet) in `trajectory.nc` and `summary.json`.

    **Raises:** `FileNotFoundError` if the folder is not a run folder; `ValueError` if a file cannot be read.
    """
    directory = Path(directory)
    files = ("summary.json", "trajectory.nc", "experiment.yaml", "meta.json")
    if not any((directory / name).is_file() for name in files):
        raise FileNotFoundError(f"{directory} is not a run folder: it holds none of {', '.join(files)}.")
    meta = _json(directory / "meta.json") or {}
    summary = _json(directory / "summary.json") or _unfinished(directory, meta, events or {})
    if dataset is None and (directory / "trajectory.nc").is_file():
        dataset = _dataset(directory / "trajectory.nc")
    drawing = None
    if dataset is not None:
        drawing = plot.Drawing(dataset, summary.get("events") or {}, plot.descents(directory), summary)
    wanted = dict(map(_figure, meta.get("figures", DEFAULT_FIGURES)))
    figures = plot.write_figures(wanted, drawing, directory / "figures")
    given, resolved = _text(directory / "experiment.yaml"), _text(directory / "resolved.yaml")
    shown = {key: value for key, value in meta.items() if key != "figures"}
    return Rebuilt(write(directory, summary, figures, given, resolved, shown), figures, summary)


def _figure(entry: str | Mapping[str, Any]) -> tuple[str, plot.Kind]:
    """Name and figure of an entry of `meta.json`: a name, or `{"kind": name, …}` with fields of `FigureStyle`."""
    options = {} if isinstance(entry, str) else {key: value for key, value in entry.items() if key != "kind"}
    name = entry if isinstance(entry, str) else entry["kind"]
    if name not in plot.FIGURES:
        raise ValueError(f"unknown figure {name!r}; the figures are {', '.join(plot.FIGURES)}.")
    return name, plot.FIGURES[name].styled(**options)


def _unfinished(directory: Path, meta: Mapping[str, Any], events: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    times = {name: {"time": found[0], "times": list(found)} for name, found in events.items() if found}
    return {"name": meta.get("name", directory.resolve().name), "status": INCOMPLETE, "events": times}


def _claims(directory: Path) -> Markup:
    """The verdicts of a folder that `flowsim verify` made; their figures need more than its trajectory and stay."""
    content = _json(directory / "claims.json")
    if content is None:
        return Markup("")
    files = {
        claim["id"]: directory / "figures" / "claims" / plot.claims.file_name(claim["id"])
        for claim in content["claims"]
    }
    return claims.section(content, {name: path.read_bytes() for name, path in files.items() if path.is_file()})


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def _json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text("utf-8"))
    except ValueError as problem:
        raise ValueError(f"{path} is not JSON: {problem}. Delete it to build the report without it.") from problem
    if not isinstance(record, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(record).__name__}.")
    return record


def _dataset(path: Path) -> xarray.Dataset:
    try:
        return xarray.load_dataset(path, engine="h5netcdf")
    except (OSError, ValueError) as problem:
        raise ValueError(f"{path} cannot be read as netCDF: {problem}.") from problem
