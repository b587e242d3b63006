"""The section of the report that holds the paper's claims with their verdicts."""

from collections.abc import Mapping
from typing import Any

from .numbers import number
from .parts import Figure, Picture, Section, Table


def section(content: Mapping[str, Any], pictures: Mapping[str, bytes]) -> Section:
    """A table of verdicts, then a small figure for each claim.

    **Arguments:** `content` as `claims.json`; `pictures`: claim id -> PNG.
    """
    seeds = content.get("seeds") or []
    constants = ", ".join(f"{name} = {number(value)}" for name, value in (content.get("constants") or {}).items())
    runs = f"{len(seeds)} seeds; a fraction counts the runs that decide a claim, with its 95 % Wilson interval. "
    open_numbers = f"What the rules call small, bounded or balanced: {constants}." if constants else ""
    intro = f"{runs if len(seeds) > 1 else ''}{open_numbers}"
    rows = tuple(
        (claim["id"], claim["verdict"], share(claim), numbers(claim), f"{claim['statement']} Rule: {claim['rule']}.")
        for claim in content["claims"]
    )
    head = ("claim", "verdict", "holds in", "measured", "statement and rule")
    drawn = [_figure(claim, pictures[claim["id"]]) for claim in content["claims"] if claim["id"] in pictures]
    title = "The paper's claims"
    return Section(title, (intro,) if intro else (), (Table(head, rows),), tuple(drawn))


def share(claim: Mapping[str, Any]) -> str:
    """`97 % (92 … 99 %) of 100`, for claims that several runs decide."""
    runs = claim.get("runs")
    if not runs or claim.get("fraction") is None:
        return "–"
    decided = runs["holds"] + runs["fails"]
    if decided == 1:
        return f"{runs['holds']} of 1"
    low, high = claim["interval"]
    return f"{100 * claim['fraction']:.0f} % ({100 * low:.0f} … {100 * high:.0f} %) of {decided}"


def numbers(claim: Mapping[str, Any]) -> str:
    """What was measured, in a line; where nothing could be, why."""
    errors = claim.get("errors") or {}
    measured = "; ".join(
        f"{label} {number(value, 4)}{_bound(errors.get(label))}" for label, value in claim["measured"].items()
    )
    return "; ".join(filter(None, [measured, *claim.get("reasons", ())])) or "–"


def _bound(error: float | None) -> str:
    return f" ± {number(error, 2)}" if error else ""


def _figure(claim: Mapping[str, Any], png: bytes) -> Figure:
    alternative = f"{claim['id']}, against time or size"
    return Figure(Picture.png(png, alternative), f"{claim['id']}: {claim['verdict']}", claim["statement"])
