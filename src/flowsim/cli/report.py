"""`flowsim report`: figures and report of a run folder, made again."""

import pathlib
from typing import Annotated

import typer

from ._output import Debug, Json, Output, Quiet


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
        if not (folder / "trajectory.nc").is_file():
            output.refuse(f"{folder} is not the folder of a finished run: it holds no trajectory.nc.")
        from ..report import rebuild  # loads the plotting stack

        rebuild(folder)
        output.data(str(folder / "report.html"))
        output.document({"status": "done", "folder": str(folder), "report": str(folder / "report.html")})
