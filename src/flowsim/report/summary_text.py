"""The short summary that the terminal shows at the end of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..plot import FigureRecord
from . import descent
from . import sentences as _sentences
from .numbers import error, measured, number, seconds, solvers


def summary_text(
    summary: Mapping[str, Any], *, directory: Path | str | None = None, figures: Sequence[FigureRecord] = ()
) -> str:
    """A few aligned lines: how it ended, the events, the end, how exact, what it cost, and where the files are.

    **Arguments:** `summary` as `summary.json`; `directory`: the run folder, to say where things are; `figures`: what
    `flowsim.plot.write_figures` returned.
    """
    lines = [("status", _status(summary))]
    lines += [(name, _event(record)) for name, record in (summary.get("events") or {}).items()]
    lines += [("final", _final(summary.get("final") or {}))]
    lines += [("certificate", _certificate(summary.get("certificate") or {}))] if summary.get("final") else []
    lines += [("descent", text) for text in descent.lines(summary.get("descent") or {})]
    lines += [("solver", _solver(summary.get("solver") or {}))]
    lines += [("figures", _figures(figures, directory))] if figures else []
    lines += [("report", str(Path(directory) / "report.html"))] if directory is not None else []
    lines = [(label, text) for label, text in lines if text]
    width = max(len(label) for label, _ in lines)
    name = _one_line(summary.get("name") or "unnamed run")
    return "\n".join([name, *(f"  {_one_line(label):<{width}}  {_one_line(text)}" for label, text in lines)])


def _one_line(text: object) -> str:
    """No line breaks and no control characters: a name must not be able to repaint the terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def _status(summary: Mapping[str, Any]) -> str:
    status = str(summary.get("status", _sentences.INCOMPLETE))
    return status if status == "done" else f"{status}: {_sentences.ending(summary)}"


def _event(record: Mapping[str, Any]) -> str:
    if record.get("time") is None:
        return "never happened"
    text = f"t = {measured(record['time'], record.get('uncertainty'))}"
    if record.get("loss") is not None:
        text += f"  (loss {number(record['loss'], 4)})"
    more = len(record.get("times") or [0]) - 1
    return text + (f"  and {more} later" if more > 0 else "")


def _final(final: Mapping[str, Any]) -> str:
    named = {"time": "t", "loss": "loss", "min_margin": "min margin"}
    return "  ".join(f"{label} = {number(final[key], 6)}" for key, label in named.items() if final.get(key) is not None)


def _certificate(record: Mapping[str, Any]) -> str:
    if record.get("relative_error") is None:
        return "none"
    return f"within {error(record['relative_error'])} of the exact flow, relative to the distance travelled"


def _solver(record: Mapping[str, Any]) -> str:
    if not record.get("kind"):
        return ""
    parts = [solvers(record)]
    if record.get("steps") is not None:
        parts.append(f"{record['steps']} steps, {number(record.get('rejected'))} rejected")
    if record.get("vector_field_evaluations") is not None:
        parts.append(f"{record['vector_field_evaluations']} gradients")
    if record.get("reduction") is not None:
        parts.append(f"reduction {record['reduction']}")
    if record.get("seconds_run") is not None:
        parts.append(f"{seconds(record['seconds_run'])} + {seconds(record.get('seconds_compile'))} compiling")
    return ", ".join(parts)


def _figures(figures: Sequence[FigureRecord], directory: Path | str | None) -> str:
    drawn = [figure.name for figure in figures if figure.skipped_reason is None]
    reasons: dict[str, list[str]] = {}
    for figure in figures:
        if figure.skipped_reason is not None:
            reasons.setdefault(figure.skipped_reason, []).append(figure.name)
    skipped = [f"{', '.join(names)} skipped: {reason}" for reason, names in reasons.items()]
    where = f"{Path(directory) / 'figures'}: " if directory is not None and drawn else ""
    return "; ".join([where + ", ".join(drawn), *skipped] if drawn else skipped)
