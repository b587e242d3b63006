"""`claims.json`: the verdicts as plain data."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from .._files import write_json
from .scaling import Exponent
from .tally import Tally

NAME = "claims.json"


def claims(
    name: str, seeds: Sequence[int], tallies: Sequence[Tally], exponents: Sequence[Exponent], constants: Any
) -> dict[str, Any]:
    """Every claim with its verdict and numbers; those of scaling laws follow, one for each size that was varied."""
    decided = {exponent.id for exponent in exponents}  # what one size cannot decide, a range of them does
    rows = [_tally(tally, len(seeds)) for tally in tallies if tally.claim.id not in decided]
    rows += [_exponent(exponent) for exponent in exponents]
    return {
        "schema_version": 1,
        "name": name,
        "seeds": list(seeds),
        "constants": {} if constants is None else dataclasses.asdict(constants),
        "claims": rows,
    }


def write_claims(folder: pathlib.Path, content: Mapping[str, Any]) -> None:
    write_json(folder / NAME, content)


def _tally(tally: Tally, runs: int) -> dict[str, Any]:
    claim = tally.claim
    row = {
        "id": claim.id,
        "source": claim.source,
        "statement": claim.statement,
        "rule": claim.rule,
        "verdict": str(tally.verdict),
        "measured": {label: _number(spread[0]) for label, spread in tally.measured.items()},
        "errors": {label: _number(bound) for label, bound in tally.errors.items()},
        "runs": {str(word): count for word, count in tally.counts.items()},
        "fraction": tally.fraction,
        "interval": None if tally.interval is None else list(tally.interval),
        "reasons": list(tally.reasons),
    }
    if runs > 1:
        row["range"] = {label: [_number(low), _number(high)] for label, (_, low, high) in tally.measured.items()}
    return row


def _exponent(found: Exponent) -> dict[str, Any]:
    measured = {"exponent": found.exponent, "predicted exponent": found.predicted, "constant": found.constant}
    if found.interval is not None:
        measured |= {"exponent, lower": found.interval[0], "exponent, upper": found.interval[1]}
    return {
        "id": found.id,
        "source": found.law.source,
        "statement": found.law.statement,
        "rule": "the 95 % interval of the fitted exponent lies within `exponent` of the prediction",
        "verdict": str(found.verdict),
        "measured": {label: None if value is None else _number(value) for label, value in measured.items()},
        "points": {"value": list(found.values), "seed": list(found.seeds), "measured": list(found.measured)},
        "reasons": [found.reason] if found.reason else [],
    }


def _number(value: float) -> float | None:
    """JSON has no infinity and no NaN: what is not finite is null."""
    return float(value) if math.isfinite(value) else None
