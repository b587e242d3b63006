"""`flowsim check`: every error of an experiment at once, without JAX."""

import pathlib
from typing import Annotated

import typer

from ..config import load
from .command import Overrides, command
from .output import Output

ExperimentFile = Annotated[pathlib.Path, typer.Argument(metavar="EXPERIMENT.yaml", help="The experiment file.")]


@command(plugins=True)
def check(
    output: Output,
    experiment: ExperimentFile,
    overrides: Overrides = None,
) -> None:
    """Report every error of an experiment at once, with its place; run nothing.

    \b
    Examples:
      flowsim check figure1.yaml
      flowsim check figure1.yaml solver.rtol=1e-12 'descent=[]'
    """
    checked = load(experiment, overrides or ())
    output.say(f"{experiment}: no errors.")
    output.document({"status": "sound", "name": checked.name, "problems": []})
