"""Figures and report from a run folder alone."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray

from .. import plot
from .._files import RefusedError, make_folder, write_text
from ..store import EventSummary, Meta, Summary, read_dataset, read_json
from ..store.meta import NAME as META
from ..store.summary import NAME as SUMMARY
from . import claims
from .page import Illustration, page
from .parts import Section

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
    own: Mapping[str, Callable[[plot.Drawing], Any]] | None = None,
) -> Rebuilt:
    """Redraw the figures and rewrite the report of a run folder, from its files alone.

    It works on a partial run: what is missing is said in the report. The figures are those that `meta.json` names
    under `figures`, else the paper's four.

    **Arguments:** `directory`: the run folder; `dataset`, `events`: the trajectory and the crossings of each event, if
    they are not (yet) in `trajectory.nc` and `summary.json`; `own`: figures of a user's plugin by their kinds. A figure
    of a plugin that is not given stays as it was drawn.

    **Raises:** `FileNotFoundError` if it is not a run folder; `StoreError` that names a file which cannot be read.
    """
    directory = Path(directory)
    files = (SUMMARY, "trajectory.nc", "experiment.yaml", META)
    if not any((directory / name).exists() for name in files):
        raise FileNotFoundError(f"{directory} is not a run folder: none of {', '.join(files)} is in it.")
    meta = Meta.read(directory) if (directory / META).exists() else Meta(name=directory.resolve().name)
    summary = Summary.read(directory) or Summary(name=meta.name, events=dict(events or {}))
    if dataset is None and (directory / "trajectory.nc").exists():
        dataset = read_dataset(directory / "trajectory.nc")
    drawing = None
    if dataset is not None:
        drawing = plot.Drawing(dataset, summary.events, plot.descents(directory), summary)
    entries = DEFAULT_FIGURES if meta.figures is None else meta.figures
    asked = dict(map(_entry, entries))
    kept = [_as_drawn(name, directory / "figures") for name in asked if name not in (own or {})]
    drawn = {record.name for record in kept if record is not None}
    known = {**plot.FIGURES, **{name: plot.of_function(function) for name, function in (own or {}).items()}}
    wanted = {name: _figure(name, style, known, directory / META) for name, style in asked.items() if name not in drawn}
    make_folder(directory / "figures")
    figures = plot.write_figures(wanted, drawing, directory / "figures") + [one for one in kept if one is not None]
    given, resolved = _text(directory / "experiment.yaml"), _text(directory / "resolved.yaml")
    return Rebuilt(write(directory, summary, figures, given, resolved, meta.shown()), figures, summary)


def _entry(entry: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and style of an entry of `meta.json`: a name, or `{"kind": name, …}` with fields of `FigureStyle`."""
    if isinstance(entry, str):
        return entry, {}
    return entry["kind"], {key: value for key, value in entry.items() if key != "kind"}


def _figure(name: str, style: dict[str, Any], known: Mapping[str, plot.Kind], path: Path) -> plot.Kind:
    if name not in known:
        raise RefusedError(f"{path}: unknown figure {name!r}; the figures are {', '.join(known)}")
    try:
        return known[name].styled(**style)
    except (TypeError, ValueError) as error:
        raise RefusedError(f"{path}: figures: {name}: {error}") from None


def _as_drawn(name: str, directory: Path) -> plot.FigureRecord | None:
    """A figure of a plugin that is not loaded, as the run drew it."""
    png, pdf = directory / f"{name}.png", directory / f"{name}.pdf"
    if name in plot.FIGURES or not re.fullmatch(r"\w+", name) or not png.is_file():
        return None
    return plot.FigureRecord(name, png, pdf if pdf.is_file() else None)


def _claims(directory: Path) -> Section | None:
    """The verdicts of a folder that `flowsim verify` made; their figures need more than its trajectory and stay."""
    path = directory / "claims.json"
    if not path.exists():
        return None
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
