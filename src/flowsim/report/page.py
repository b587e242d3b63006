"""The page that a person reads: one HTML file with everything in it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..store import FinalState, SolverSummary, Summary
from . import descent
from . import sentences as _sentences
from .numbers import error, flat, measured, number, seconds
from .parts import TEMPLATES, Figure, Picture, Section, Table
from .style import CSS

_CERTIFICATE = {
    "relative_error": "distance of the final parameters from the exact flow's, over the distance travelled (estimate)",
    "relative_error_median": "the median of that over the seeds, whose largest is above",
    "energy_identity": "|loss(0) − loss(t) − ∫‖∇loss‖² dt| over the loss that was lost; 0 for the exact flow",
    "rounding_floor": "the part of the relative error that rounding alone explains; no tolerance goes below it",
    "method": "where the evidence comes from",
    "evaluations": "gradients that the evidence cost",
    "warnings": "what the evidence cannot vouch for",
    "invariants.key_query": "relative drift of W_K W_Kᵀ − W_Q W_Qᵀ, which the exact flow conserves",
    "invariants.mlp_value": "relative drift of WᵀW − W_V W_Vᵀ, which the exact flow conserves",
    "invariants.frozen_directions": "relative drift of (I − aaᵀ/‖a‖²)W, which the exact flow conserves",
}
_SOLVER = {
    "kind": "method",
    "rtol": "relative tolerance",
    "atol": "absolute tolerance",
    "steps": "steps",
    "rejected": "rejected steps",
    "vector_field_evaluations": "gradient evaluations (a Hessian-vector product counts as two)",
    "implicit": "evaluations are of its stages alone, without their solves",
    "compensated": "what roundings left out of the parameters was carried along",
    "event_evaluations": "gradient evaluations for event times",
    "reduction": "exact reduction",
    "reduction_reason": "why this reduction",
    "seconds_compile": "compilation",
    "seconds_run": "integration",
    "seconds_certificate": "certificate",
    "seconds_descent": "descent and its distance to the flow",
}


@dataclasses.dataclass(frozen=True)
class Illustration:
    """One figure of the page: a PNG with its caption, or the reason why it is not there; `gif` shows it in motion."""

    name: str
    caption: str = ""
    png: bytes | None = None
    skipped_reason: str | None = None
    gif: bytes | None = None


def page(
    summary: Summary,
    figures: Sequence[Illustration],
    experiment_text: str,
    resolved_text: str,
    meta: Mapping[str, Any],
    claims: Section | None = None,
) -> str:
    """The report as HTML: no link to anything outside, every text of the user's escaped, the same for the same input.

    **Arguments:** `summary`: if it is not complete the page says so; `figures` in order;
    `experiment_text` and `resolved_text`: YAML, shown as it is; `meta`: what to show of `meta.json`;
    `claims`: the section made from `claims.json`, if there is one.
    """
    sections = [
        *([] if claims is None else [claims]),
        _figures(figures),
        _events(summary),
        descent.section(summary.descent),
        _certificate(summary),
        _solver(summary.solver),
        _final(summary),
        _seeds(summary),
        _configuration(experiment_text, resolved_text),
        Section("Versions and machine", tables=_plain(meta)),
    ]
    return TEMPLATES.get_template("report.html").render(
        name=summary.name or "unnamed run",
        css=CSS,
        partial=None if summary.ok else _sentences.ending(summary),
        numbers=_highlights(summary),
        story=[text for text in _story(summary) if text],
        sections=sections,
    )


def _story(summary: Summary) -> list[str | None]:
    return [
        _sentences.ending(summary) if summary.ok and summary.status != "done" else None,
        " ".join(filter(None, (_sentences.final(summary), _sentences.phase1(summary)))),
        _sentences.certificate(summary) if summary.final or summary.certificate else None,
        _sentences.solver(summary),
    ]


def _highlights(summary: Summary) -> list[tuple[str, str]]:
    """The few numbers that are looked for first."""
    end = summary.final or FinalState()
    size = None if summary.certificate is None else summary.certificate.relative_error
    numbers = []
    if "phase1_end" in summary.events:
        time = summary.events["phase1_end"].time
        numbers.append(("end of phase 1, t", "not reached" if time is None else number(time, 5)))
    found = {"time reached, t": end.time, "final loss": end.loss, "smallest margin": end.min_margin}
    numbers += [(label, number(value, 4)) for label, value in found.items() if value is not None]
    numbers += [("certified relative error", error(size))] if size is not None else []
    return numbers


def _figures(figures: Sequence[Illustration]) -> Section:
    drawn = []
    for index, figure in enumerate([f for f in figures if f.png is not None], start=1):
        assert figure.png is not None
        title = f"Figure {index}: {figure.name}"
        moving = None if figure.gif is None else Picture.gif(figure.gif, f"{title}, animated")
        named = f"Figure {index}, {figure.name}"
        drawn.append(Figure(Picture.png(figure.png, title), named, figure.caption, moving))
    skipped = [
        f"Not drawn: {figure.name}, because {figure.skipped_reason or 'it is missing'}."
        for figure in figures
        if figure.png is None
    ]
    return Section("Figures", figures=tuple(drawn), remarks=tuple(skipped))


def _events(summary: Summary) -> Section:
    rows = []
    for name, record in summary.events.items():
        when = "never" if record.time is None else measured(record.time, record.uncertainty)
        later = ", ".join(number(t) for t in record.times[1:11]) + (" …" if len(record.times) > 11 else "")
        values = dict(flat(record.measured))
        if record.fired is not None:
            values |= {f"quantile {q}": value for q, value in (record.quantiles or {}).items()}
        found = [f"{key.replace('_', ' ')} {number(value)}" for key, value in values.items() if value is not None]
        fired = "" if record.fired is None else f"happened in {record.fired} of {len(summary.seeds)} seeds"
        said = "; ".join(filter(None, [record.description, fired, *found]))
        rows.append((name, when, later or "–", said or "–"))
    first = "first time t, median over the seeds" if summary.seeds else "first time t"
    table = Table(("event", first, "later times", "what it is, and values there"), tuple(rows), whole=1)
    return Section("Events", tables=(table,) if rows else ())


def _certificate(summary: Summary) -> Section:
    title, record = "Certificate: how exact this is", summary.certificate
    if record is None:
        none = "No certificate was computed for this run."
        return Section(title, (none,) if summary.final else ())
    rows = []
    for name, value in flat(record.model_dump(exclude_unset=True)):
        note = _CERTIFICATE.get(
            name, "relative drift of a conserved quantity" if name.startswith("invariants.") else ""
        )
        rows.append((name.replace("_", " "), error(value) if isinstance(value, float) else number(value), note))
    return Section(title, tables=(Table(("quantity", "value", "meaning"), tuple(rows)),))


def _solver(record: SolverSummary | None) -> Section:
    if record is None:
        return Section("Solver")
    rows = [
        (_SOLVER.get(name, name), seconds(value) if name.startswith("seconds_") else number(value))
        for name, value in flat(record.model_dump(exclude_unset=True))
    ]
    return Section("Solver", tables=(Table(("quantity", "value"), tuple(rows)),))


def _final(summary: Summary) -> Section:
    title = "State at the end" + (", medians over the seeds" if summary.seeds else "")
    return Section(title, tables=() if summary.final is None else _plain(summary.final.model_dump(exclude_unset=True)))


def _seeds(summary: Summary) -> Section:
    if not summary.seeds:
        return Section("Seeds")
    failed = ", ".join(map(str, summary.failed_seeds)) or "none"
    shown = {"seeds": ", ".join(map(str, summary.seeds)), "did not reach the end": failed}
    return Section("Seeds", tables=_plain(shown))


def _plain(record: Mapping[str, Any]) -> tuple[Table, ...]:
    rows = tuple((name, number(value)) for name, value in flat(record))
    return (Table(("name", "value"), rows),) if rows else ()


def _configuration(experiment_text: str, resolved_text: str) -> Section:
    code = [("", experiment_text), ("With every default written out", resolved_text)]
    return Section("Configuration", code=tuple((title, text) for title, text in code if text))
