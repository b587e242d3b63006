"""What a run says of several claims."""

import html
import math
from collections.abc import Iterator, Sequence
from typing import Any, overload

from .claim import Verdict
from .condition import Word


class Verdicts(Sequence[Verdict]):
    """The verdicts of one run, in the order of the claims; prints as a table.

    **Arguments:** `items`: the verdicts; `evidence`: what they were measured on, None if they stand for several runs.
    """

    def __init__(self, items: Sequence[Verdict], evidence: Any = None):
        self.items, self.evidence = tuple(items), evidence

    @overload
    def __getitem__(self, index: int | str) -> Verdict: ...
    @overload
    def __getitem__(self, index: slice) -> "Verdicts": ...
    def __getitem__(self, index):
        """By position, or by a claim's id."""
        match index:
            case str():
                return self._of(index)
            case slice():
                return Verdicts(self.items[index], self.evidence)
            case _:
                return self.items[index]

    def _of(self, claim: str) -> Verdict:
        found = [item for item in self.items if item.claim.id == claim]
        if not found:
            known = ", ".join(item.claim.id for item in self.items)
            raise KeyError(f"no claim {claim!r}; claims: {known}.")
        return found[0]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.items)

    @property
    def all_hold(self) -> bool:
        return all(item.word == Word.HOLDS for item in self.items)

    def __repr__(self) -> str:
        """A line for each claim: id, verdict, numbers."""
        rows = [(item.claim.id, str(item.word), _numbers(item)) for item in self.items]
        widths = [max((len(row[k]) for row in rows), default=0) for k in (0, 1)]
        return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() for a, b, c in rows) or "no claims"

    def _repr_html_(self) -> str:
        cells = [
            (item.claim.id, str(item.word), _numbers(item), f"{item.claim.statement} Rule: {item.claim.rule}.")
            for item in self.items
        ]
        head = "".join(f"<th>{name}</th>" for name in ("claim", "verdict", "measured", "statement and rule"))
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in cells)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _numbers(verdict: Verdict) -> str:
    finding = verdict.finding
    shown = []
    for label, value in finding.measured.items():
        error = finding.errors.get(label, 0.0)
        bound = f" ± {error:.1e}" if error > 0 and math.isfinite(error) else " ± ∞" if error > 0 else ""
        shown.append(f"{label} {value:.6g}{bound}")
    return "; ".join([*shown, *([finding.reason] if finding.reason else [])])
