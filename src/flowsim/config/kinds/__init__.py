"""flowsim's own kinds, one class each: fields, checks, and what they build. A module or folder for each section."""

from . import claim, event, figure, flow, init, log, loss, model, probe, problem, sensitivity, solver, task

__all__ = [
    "claim", "event", "figure", "flow", "init", "log", "loss", "model", "probe", "problem", "sensitivity", "solver",
    "task",
]  # fmt: skip
