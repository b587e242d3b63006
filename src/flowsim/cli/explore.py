"""`flowsim explore`: one interactive page over runs and sweeps."""

import pathlib
from typing import Annotated

import typer

from .command import command
from .output import Output


@command
def explore(
    output: Output,
    folders: Annotated[list[pathlib.Path], typer.Argument(metavar="DIR…", help="Run folders, or sweeps.")],
    out: Annotated[
        pathlib.Path | None,
        typer.Option("--out", metavar="FILE", help="The page; explore.html beside the first DIR if not given."),
    ] = None,
) -> None:
    """Write one interactive page, whose path is printed to stdout. It works offline.

    \b
    Examples:
      flowsim explore runs/figure1/2026-01-31T12-00-00Z-1a2b
      flowsim explore runs/wide runs/narrow --out both.html
    """
    from ..explore import ExploreError  # these load xarray
    from ..explore import explore as write
    from ..store import StoreError

    try:
        written = write(folders, out)
    except ExploreError as error:
        output.refuse(f"{error}.")
    except StoreError as error:
        output.fail(f"{error}.")
    for note in written.notes:
        output.say(f"left out: {note}")
    output.data(str(written.path))
    output.document({"status": "done", "page": str(written.path), "runs": written.runs, "sweeps": written.sweeps})
