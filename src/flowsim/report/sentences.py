"""What a run found, in sentences."""

import math
from collections.abc import Mapping
from typing import Any

from .numbers import error, number, seconds, solvers

_ENDINGS = {
    "done": "The run reached its end.",
    "event": "The run stopped at a terminal event, as the experiment asked.",
    "interrupted": "The run was interrupted. What follows was saved until then; resuming it takes up where it stopped.",
    "step_limit": "The run used up its steps before its end.",
    "step_size_floor": "The run stopped early because its steps became too small to go on.",
    "not_finite": "The run stopped early because the loss or a parameter was no longer finite.",
    "implicit_failed": "The run stopped early because the solver's implicit equations could not be solved.",
    "beyond_reach": "The run stopped early because a step asked for more work than the solver takes for one.",
}
INCOMPLETE = "incomplete"


def is_complete(summary: Mapping[str, Any]) -> bool:
    """Did the run end where the experiment said it should?"""
    return summary.get("status") in ("done", "event")


def ending(summary: Mapping[str, Any]) -> str:
    """How the run ended, with the cause and the remedy where the run recorded them."""
    status = summary.get("status", INCOMPLETE)
    known = "There is no summary: the run is unfinished, or still going on." if status == INCOMPLETE else None
    parts = [_ENDINGS.get(status) or known or f"The run ended early (status: {status})."]
    if not is_complete(summary):
        parts += [str(summary[key]) for key in ("message", "remedy") if summary.get(key)]
    return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts)


def phase1(summary: Mapping[str, Any]) -> str | None:
    """The end of phase 1; None if it was not watched for."""
    record = (summary.get("events") or {}).get("phase1_end")
    if record is None:
        return None
    if record.get("time") is None:
        end = (summary.get("final") or {}).get("time")
        until = f" by t = {number(end)}" if end is not None else ""
        return f"Phase 1 did not end{until}: some training sample is still classified wrongly."
    loss = f" The loss there is {number(record['loss'], 3)}." if record.get("loss") is not None else ""
    return (
        f"Phase 1 ended at t = {number(record['time'])}, "
        f"when every training sample was first classified correctly.{loss}"
    )


def final(summary: Mapping[str, Any]) -> str | None:
    """Where the flow got to."""
    values = summary.get("final") or {}
    if values.get("time") is None:
        return None
    said = [f"the training loss is {number(values['loss'], 4)}"] if values.get("loss") is not None else []
    if values.get("min_margin") is not None:
        said.append(f"the smallest margin is {number(values['min_margin'], 4)}")
    end = f"The flow was followed from t = 0 to t = {number(values['time'])}"
    return f"{end}, where {' and '.join(said)}." if said else f"{end}."


def certificate(summary: Mapping[str, Any]) -> str:
    """How exact the result is."""
    record = summary.get("certificate") or {}
    if record.get("relative_error") is None:
        return "No certificate was computed, so the numerical error of this run was not measured."
    size = record["relative_error"]
    if not math.isfinite(size):
        return "The certificate could not measure the numerical error of this run: do not rely on its details."
    if size <= 0:
        return "The certificate found no numerical error."
    sentence = (
        f"The certificate puts the final parameters within {error(size)} of the exact flow's, "
        "as a part of the distance that they travelled"
    )
    if size > 0.01:
        return f"{sentence}: this is too much to trust the details. Tighter tolerances will lower it."
    return f"{sentence}: far below what a figure here can show." if size < 1e-4 else f"{sentence}."


def solver(summary: Mapping[str, Any]) -> str | None:
    """What the integration cost."""
    record = summary.get("solver") or {}
    if not record.get("kind"):
        return None
    parts = [f"The solver {solvers(record)} took {number(record.get('steps'))} steps"]
    if record.get("rejected") is not None:
        parts[0] += f" ({number(record['rejected'])} more were rejected)"
    if record.get("vector_field_evaluations") is not None:
        parts.append(f"{number(record['vector_field_evaluations'])} evaluations of the gradient")
    sentence = " and ".join(parts)
    if record.get("seconds_run") is not None:
        sentence += f" in {seconds(record['seconds_run'])}"
    if record.get("seconds_compile") is not None:
        sentence += f", after {seconds(record['seconds_compile'])} of compilation"
    if record.get("reduction") not in (None, "none"):
        sentence += f", on a smaller problem with the same flow (reduction: {record['reduction']})"
    return f"{sentence}."
