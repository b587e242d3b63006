"""`flowsim check`: every error of an experiment at once, without JAX."""

import pathlib
from typing import Annotated

import typer

from ..config import load
from ..plugin import load as load_plugins
from .output import Debug, Json, Output, Overrides, Plugins, Quiet, Verbose

Experiment = Annotated[pathlib.Path, typer.Argument(metavar="EXPERIMENT.yaml", help="The experiment file.")]


def register(app: typer.Typer) -> None:
    app.command("check")(check)


def check(
    experiment: Experiment,
    overrides: Overrides = None,
    plugin: Plugins = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Report every error of an experiment at once, with its place; run nothing.

    \b
    Examples:
      flowsim check figure1.yaml
      flowsim check figure1.yaml solver.rtol=1e-12 'descent=[]'
    """
    output = Output(json, quiet, verbose, debug)
    with output.ending():
        load_plugins(plugin or [])
        checked = load(experiment, overrides or ())
        output.say(f"{experiment}: no errors.")
        output.document({"status": "sound", "name": checked.name, "problems": []})
