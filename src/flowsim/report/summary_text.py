"""The short summary that the terminal shows at the end of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..plot import FigureRecord
from ..records import counted
from ..store import CertificateSummary, EventSummary, FinalState, SolverSummary, Summary
from . import descent
from . import sentences as _sentences
from .numbers import error, measured, number, seconds, solvers


def summary_text(
    summary: Summary,
    *,
    directory: Path | str | None = None,
    figures: Sequence[FigureRecord] = (),
    account: Mapping[str, float] | None = None,
) -> str:
    """A few aligned lines: how it ended, the events, the end, how exact, what it cost, and where the files are.

    **Arguments:** `directory`: the run folder, to say where things are; `figures`: what
    `flowsim.plot.write_figures` returned; `account`: seconds of every stage by its name, `total` among them.
    """
    lines = [("status", _status(summary))]
    lines += [("seeds", _seeds(summary))] if summary.seeds else []
    lines += [(name, _event(record, len(summary.seeds))) for name, record in summary.events.items()]
    lines += [("final, medians" if summary.seeds else "final", _final(summary.final))] if summary.final else []
    lines += [("certificate", _certificate(summary.certificate))] if summary.final else []
    lines += [("descent", text) for text in descent.lines(summary.descent)]
    lines += [("solver", _solver(summary.solver))] if summary.solver else []
    lines += [("time", _account(account))] if account else []
    lines += [("figures", _figures(figures, directory))] if figures else []
    lines += [("report", str(Path(directory) / "report.html"))] if directory is not None else []
    lines = [(label, text) for label, text in lines if text]
    width = max(len(label) for label, _ in lines)
    name = _one_line(summary.name or "unnamed run")
    return "\n".join([name, *(f"  {_one_line(label):<{width}}  {_one_line(text)}" for label, text in lines)])


def _one_line(text: object) -> str:
    """No line breaks and no control characters: a name must not be able to repaint the terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def _status(summary: Summary) -> str:
    return summary.status if summary.status == "done" else f"{summary.status}: {_sentences.ending(summary)}"


def _seeds(summary: Summary) -> str:
    failed = f"; failed: {', '.join(map(str, summary.failed_seeds))}" if summary.failed_seeds else ""
    return f"{len(summary.seeds) - len(summary.failed_seeds)} of {len(summary.seeds)} complete{failed}"


def _event(record: EventSummary, seeds: int) -> str:
    if record.fired is not None:
        return _event_over_seeds(record, seeds)
    if record.time is None:
        return "never happened"
    text = f"t = {measured(record.time, record.uncertainty)}"
    if record.loss is not None:
        text += f"  (loss {number(record.loss, 4)})"
    more = len(record.times) - 1
    return text + (f"  and {more} later" if more > 0 else "")


def _event_over_seeds(record: EventSummary, seeds: int) -> str:
    happened = f"happened in {record.fired} of {seeds} seeds"
    return happened if record.time is None else f"median t = {measured(record.time, record.uncertainty)}, {happened}"


def _final(final: FinalState) -> str:
    named = {"t": final.time, **{name.replace("_", " "): value for name, value in final.scalars.items()}}
    return "  ".join(f"{label} = {number(value, 6)}" for label, value in named.items() if value is not None)


def _certificate(record: CertificateSummary | None) -> str:
    if record is None:
        return "none"
    if record.relative_error is None:
        return "could not measure the error: " + ("; ".join(record.warnings) or "see the report")
    return f"within {error(record.relative_error)} of the exact flow, relative to the distance travelled"


def _solver(record: SolverSummary) -> str:
    if not record.kind:
        return ""
    parts = [solvers(record)]
    if record.steps is not None:
        parts.append(f"{record.steps} steps, {number(record.rejected)} rejected")
    if record.vector_field_evaluations is not None:
        parts.append(counted(record.vector_field_evaluations, "gradients", implicit=record.implicit))
    if record.kinks is not None:
        parts.append(record.kinks.text)
    if record.reduction:
        parts.append(f"reduction {record.reduction}")
    if record.seconds_run is not None:
        parts.append(f"{seconds(record.seconds_run)} + {seconds(record.seconds_compile)} compiling")
    return ", ".join(parts)


def _account(stages: Mapping[str, float]) -> str:
    total = f"{stages['total']:.1f} s in all" if "total" in stages else ""
    parts = [f"{name} {spent:.1f} s" for name, spent in stages.items() if name != "total" and spent >= 0.05]
    return ": ".join(filter(None, (total, ", ".join(parts))))


def _figures(figures: Sequence[FigureRecord], directory: Path | str | None) -> str:
    drawn = [figure.name for figure in figures if figure.skipped_reason is None]
    reasons: dict[str, list[str]] = {}
    for figure in figures:
        if figure.skipped_reason is not None:
            reasons.setdefault(figure.skipped_reason, []).append(figure.name)
    skipped = [f"{', '.join(names)} skipped: {reason}" for reason, names in reasons.items()]
    where = f"{Path(directory) / 'figures'}: " if directory is not None and drawn else ""
    return "; ".join([where + ", ".join(drawn), *skipped] if drawn else skipped)
