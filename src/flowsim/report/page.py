"""The page that a person reads: one HTML file with everything in it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..store import FinalState, SolverSummary, Summary
from . import descent
from . import sentences as _sentences
from .html import Markup, element, film, paragraph, picture, safe, section, table
from .numbers import error, flat, measured, number, seconds
from .style import CSS

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # a browser will load and run nothing else
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
    claims: Markup | None = None,
) -> str:
    """The report as HTML: no link to anything outside, every text of the user's escaped, the same for the same input.

    **Arguments:** `summary`: if it is not complete the page says so; `figures` in order;
    `experiment_text` and `resolved_text`: YAML, shown as it is; `meta`: what to show of `meta.json`;
    `claims`: the section made from `claims.json`, if there is one.
    """
    name = summary.name or "unnamed run"
    body = [
        element("p", "flowsim: gradient flow, simulated and checked", class_="kind"),
        element("h1", name),
        Markup("") if summary.ok else _partial(summary),
        _highlights(summary),
        *map(paragraph, _story(summary)),
        section("The paper's claims", claims or ""),
        section("Figures", _figures(figures)),
        section("Events", _events(summary)),
        section("Descent against the flow", descent.section(summary.descent)),
        section("Certificate: how exact this is", _certificate(summary)),
        section("Solver", _solver(summary.solver)),
        section("State at the end" + (", medians over the seeds" if summary.seeds else ""), _final(summary)),
        section("Seeds", _seeds(summary)),
        section("Configuration", _configuration(experiment_text, resolved_text)),
        section("Versions and machine", _plain(meta)),
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{safe(name)} – flowsim</title><style>{CSS}</style>"
    )
    lines = "\n".join(str(part) for part in body if part)
    return f'<!doctype html>\n<html lang="en">\n<head>{head}</head>\n<body>\n{lines}\n</body>\n</html>\n'


def _story(summary: Summary) -> list[str | None]:
    return [
        _sentences.ending(summary) if summary.ok and summary.status != "done" else None,
        " ".join(filter(None, (_sentences.final(summary), _sentences.phase1(summary)))),
        _sentences.certificate(summary) if summary.final or summary.certificate else None,
        _sentences.solver(summary),
    ]


def _partial(summary: Summary) -> Markup:
    text = [element("strong", "This is a partial result. "), _sentences.ending(summary)]
    return element("p", *text, class_="partial", role="status")


def _highlights(summary: Summary) -> Markup:
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
    items = [element("div", element("dt", label), element("dd", value)) for label, value in numbers]
    return element("dl", *items, class_="numbers") if items else Markup("")


def _figures(figures: Sequence[Illustration]) -> Markup:
    drawn, skipped = [], []
    for index, figure in enumerate([f for f in figures if f.png is not None], start=1):
        assert figure.png is not None
        wide = int.from_bytes(figure.png[16:20], "big") > 1000  # pixels: a figure for the whole page, not one column
        caption = element("figcaption", element("b", f"Figure {index}, {figure.name}. "), figure.caption)
        title = f"Figure {index}: {figure.name}"
        moving = film(figure.gif, f"{title}, animated") if figure.gif is not None else ""
        content = (picture(figure.png, title), caption, moving)
        drawn.append(element("figure", *content, class_="wide" if wide else "single"))
    for figure in figures:
        if figure.png is None:
            skipped.append(
                element("p", f"Not drawn: {figure.name}, because {figure.skipped_reason or 'it is missing'}.")
            )
    return Markup((element("div", *drawn, class_="figures") if drawn else "") + "".join(skipped))


def _events(summary: Summary) -> Markup:
    if not summary.events:
        return Markup("")
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
        rows.append((name, element("span", when, class_="number"), later or "–", said or "–"))
    return table(("event", "first time t", "later times", "what it is, and values there"), rows)


def _certificate(summary: Summary) -> Markup:
    record = summary.certificate
    if record is None:
        return paragraph("No certificate was computed for this run." if summary.final else None)
    rows = []
    for name, value in flat(record.model_dump(exclude_unset=True)):
        note = _CERTIFICATE.get(
            name, "relative drift of a conserved quantity" if name.startswith("invariants.") else ""
        )
        rows.append((name.replace("_", " "), error(value) if isinstance(value, float) else number(value), note))
    return table(("quantity", "value", "meaning"), rows)


def _solver(record: SolverSummary | None) -> Markup:
    if record is None:
        return Markup("")
    rows = [
        (_SOLVER.get(name, name), seconds(value) if name.startswith("seconds_") else number(value))
        for name, value in flat(record.model_dump(exclude_unset=True))
    ]
    return table(("quantity", "value"), rows)


def _final(summary: Summary) -> Markup:
    return Markup("") if summary.final is None else _plain(summary.final.model_dump(exclude_unset=True))


def _seeds(summary: Summary) -> Markup:
    if not summary.seeds:
        return Markup("")
    failed = ", ".join(map(str, summary.failed_seeds)) or "none"
    return _plain({"seeds": ", ".join(map(str, summary.seeds)), "did not reach the end": failed})


def _plain(record: Mapping[str, Any]) -> Markup:
    rows = [(name, number(value)) for name, value in flat(record)]
    return table(("name", "value"), rows) if rows else Markup("")


def _configuration(experiment_text: str, resolved_text: str) -> Markup:
    given = element("pre", experiment_text) if experiment_text else Markup("")
    resolved = Markup("")
    if resolved_text:
        title = element("summary", "With every default written out")
        resolved = element("details", title, element("pre", resolved_text))
    return Markup(given + resolved)
