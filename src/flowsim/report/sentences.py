"""What a run found, in sentences."""

from ..records import counted
from ..store import Summary
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
    "sliding": "The run stopped early because it slides along a kink of the risk, which it was not asked to follow.",
    "blow_up": "The run stopped early because the flow grows without bound in finite time.",
    "incomplete": "There is no summary: the run is unfinished, or still going on.",
}


def ending(summary: Summary) -> str:
    """How the run ended, with the cause and the remedy where the run recorded them."""
    parts = [_ENDINGS.get(summary.status, f"The run ended early (status: {summary.status}).")]
    if not summary.ok:
        parts += [text[0].upper() + text[1:] for text in (summary.message, summary.remedy) if text]
    return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts)


def phase1(summary: Summary) -> str | None:
    """The end of phase 1; None if it was not watched for."""
    if "phase1_end" not in summary.events:
        return None
    record = summary.events["phase1_end"]
    if record.time is None:
        until = f" by t = {number(summary.final.time)}" if summary.final is not None else ""
        return f"Phase 1 did not end{until}: some training sample is still classified wrongly."
    loss = f" The loss there is {number(record.loss, 3)}." if record.loss is not None else ""
    if summary.seeds:
        return f"Over {len(summary.seeds)} seeds, the median end of phase 1 is t = {number(record.time)}."
    return (
        f"Phase 1 ended at t = {number(record.time)}, when every training sample was first classified correctly.{loss}"
    )


def final(summary: Summary) -> str | None:
    """Where the flow got to."""
    end = summary.final
    if end is None or end.time is None:
        return None
    median = "median " if summary.seeds else ""
    said = [f"the {median}training loss is {number(end.loss, 4)}"] if end.loss is not None else []
    if end.min_margin is not None:
        said.append(f"the {median or 'smallest '}margin is {number(end.min_margin, 4)}")
    over = f" over {len(summary.seeds)} seeds" if summary.seeds else ""
    reached = f"The flow was followed{over} from t = 0 to t = {number(end.time)}"
    return f"{reached}, where {' and '.join(said)}." if said else f"{reached}."


def certificate(summary: Summary) -> str:
    """How exact the result is."""
    record = summary.certificate
    if record is None:
        return "No certificate was computed, so the numerical error of this run was not measured."
    size = record.relative_error
    if size is None:
        why = f" ({'; '.join(record.warnings)})" if record.warnings else ""
        return f"The certificate gives no bound on the numerical error of this run{why}: do not rely on its details."
    if size <= 0:
        return "The certificate found no numerical error."
    sentence = (
        f"The certificate puts the final parameters within {error(size)} of the exact flow's, "
        "as a part of the distance that they travelled"
    )
    if size > 0.01:
        return f"{sentence}: this is too much to trust the details. Tighter tolerances will lower it."
    return f"{sentence}: far below what a figure here can show." if size < 1e-4 else f"{sentence}."


def solver(summary: Summary) -> str | None:
    """What the integration cost."""
    record = summary.solver
    if record is None or not record.kind:
        return None
    parts = [f"The solver {solvers(record)} took {number(record.steps)} steps"]
    if record.rejected is not None:
        parts[0] += f" ({number(record.rejected)} more were rejected)"
    if record.vector_field_evaluations is not None:
        count = number(record.vector_field_evaluations)
        parts.append(counted(count, "evaluations of the gradient", implicit=record.implicit))
    sentence = " and ".join(parts)
    if record.seconds_run is not None:
        sentence += f" in {seconds(record.seconds_run)}"
    if record.seconds_compile is not None:
        sentence += f", after {seconds(record.seconds_compile)} of compilation"
    if record.reduction not in ("", "none"):
        sentence += f", on a smaller problem with the same flow (reduction: {record.reduction})"
    return f"{sentence}."
