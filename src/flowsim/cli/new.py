"""`flowsim new`: a commented experiment to start from."""

from typing import Annotated

import typer

from ..config import templates
from ..config.problems import did_you_mean
from .output import Debug, Output


def register(app: typer.Typer) -> None:
    listed = "\n".join(f"  {name:<16} {about}" for name, about in templates.listed().items())
    app.command("new", help=f"Print a commented experiment to start from.\n\n\b\nKinds:\n{listed}\n\n{_EXAMPLE}")(new)


_EXAMPLE = "\b\nExample:\n  flowsim new theory_regime > mine.yaml"


def new(
    kind: Annotated[str, typer.Argument(metavar="[KIND]", help="Which one; figure1 if not given.")] = "figure1",
    debug: Debug = False,
) -> None:
    output = Output(debug=debug)
    with output.ending():
        known = list(templates.listed())
        if kind not in known:
            output.refuse(f"there is no experiment kind {kind!r}; {did_you_mean(kind, known)}")
        output.data(templates.text(kind).rstrip("\n"))
