"""`flowsim report`: figures and report of a run folder, made again."""

import pathlib
from typing import Annotated, Any

import typer

from .output import Debug, Json, Output, Quiet


def register(app: typer.Typer) -> None:
    app.command("report")(report)


def report(
    folder: Annotated[pathlib.Path, typer.Argument(metavar="DIR", help="A run folder.")],
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Rebuild the figures and the report of a run folder from its data.

    \b
    Example:
      flowsim report runs/figure1/2026-01-31T12-00-00Z-1a2b
    """
    output = Output(json=json, quiet=quiet, debug=debug)
    with output.ending():
        if not (folder / "meta.json").exists():
            output.refuse(f"{folder} is not a run folder: it holds no meta.json.")
        from ..report import rebuild  # these load the plotting stack and JAX
        from ..store import load

        run = load(folder)
        for problem in run.problems:
            output.say(f"left out: {problem}")
        if run.summary is None:
            output.say(f"the run is partial: it reached t = {_reached(run.dataset):g}. `flowsim run --resume {folder}`")
        rebuild(folder, dataset=run.dataset, events=run.events)
        output.data(str(folder / "report.html"))
        status = "partial" if run.summary is None else "done"
        output.document({"status": status, "folder": str(folder), "report": str(folder / "report.html")})


def _reached(dataset: Any) -> float:
    return float(dataset["time"][-1]) if "time" in dataset.coords and dataset["time"].size else 0.0
