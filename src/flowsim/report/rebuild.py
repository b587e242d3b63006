"""Figures and report from a run folder alone."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray

from .. import plot
from .._files import RefusedError, make_folder, write_text
from ..store import EventSummary, Meta, Summary, read_dataset, read_json
from ..store.meta import NAME as META
from ..store.summary import NAME as SUMMARY
from . import claims
from .html import Markup
from .page import Illustration, page

DEFAULT_FIGURES = ("loss", "attention", "alignment", "balance")


@dataclasses.dataclass(frozen=True)
class Rebuilt:
    """What `rebuild` wrote: the page, a record for each figure, and the summary that it was made from."""

    report: Path
    figures: list[plot.FigureRecord]
    summary: Summary


def write(
    directory: Path | str,
    summary: Summary,
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
    events: Mapping[str, EventSummary] | None = None,
) -> Rebuilt:
    """Redraw the figures and rewrite the report of a run folder, from its files alone.

    It works on a partial run: what is missing is said in the report. The figures are those that `meta.json` names
    under `figures`, else the paper's four.

    **Arguments:** `directory`: the run folder; `dataset`, `events`: the trajectory and the crossings of each event, if
    they are not (yet) in `trajectory.nc` and `summary.json`.

    **Raises:** `FileNotFoundError` if it is not a run folder; `StoreError` that names a file which cannot be read.
    """
    directory = Path(directory)
    files = (SUMMARY, "trajectory.nc", "experiment.yaml", META)
    if not any((directory / name).exists() for name in files):
        raise FileNotFoundError(f"{directory} is not a run folder: it holds none of {', '.join(files)}.")
    meta = Meta.read(directory) if (directory / META).exists() else Meta(name=directory.resolve().name)
    summary = Summary.read(directory) or Summary(name=meta.name, events=dict(events or {}))
    if dataset is None and (directory / "trajectory.nc").exists():
        dataset = read_dataset(directory / "trajectory.nc")
    drawing = None
    if dataset is not None:
        drawing = plot.Drawing(dataset, summary.events, plot.descents(directory), summary)
    entries = DEFAULT_FIGURES if meta.figures is None else meta.figures
    wanted = dict(_figure(entry, directory / META) for entry in entries)
    make_folder(directory / "figures")
    figures = plot.write_figures(wanted, drawing, directory / "figures")
    given, resolved = _text(directory / "experiment.yaml"), _text(directory / "resolved.yaml")
    return Rebuilt(write(directory, summary, figures, given, resolved, meta.shown()), figures, summary)


def _figure(entry: str | Mapping[str, Any], path: Path) -> tuple[str, plot.Kind]:
    """Name and figure of an entry of `meta.json`: a name, or `{"kind": name, …}` with fields of `FigureStyle`."""
    options = {} if isinstance(entry, str) else {key: value for key, value in entry.items() if key != "kind"}
    name = entry if isinstance(entry, str) else entry["kind"]
    if name not in plot.FIGURES:
        raise RefusedError(f"{path}: unknown figure {name!r}; the figures are {', '.join(plot.FIGURES)}")
    try:
        return name, plot.FIGURES[name].styled(**options)
    except (TypeError, ValueError) as error:
        raise RefusedError(f"{path}: figures: {name}: {error}") from None


def _claims(directory: Path) -> Markup:
    """The verdicts of a folder that `flowsim verify` made; their figures need more than its trajectory and stay."""
    path = directory / "claims.json"
    if not path.exists():
        return Markup("")
    content = read_json(path)
    try:
        files = {
            claim["id"]: directory / "figures" / "claims" / plot.claims.file_name(claim["id"])
            for claim in content["claims"]
        }
        return claims.section(content, {name: file.read_bytes() for name, file in files.items() if file.is_file()})
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RefusedError(f"{path}: does not hold claims as flowsim writes them ({error!r}); delete it") from None


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.is_file() else ""
