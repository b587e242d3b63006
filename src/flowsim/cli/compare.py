"""`flowsim compare`: work against precision of several solvers on an experiment's problem."""

import datetime
import pathlib
import secrets
from typing import Annotated

import typer

from ..config import load
from ..plugin import load as load_plugins
from .output import Debug, Json, Output, Overrides, Plugins, Quiet, Verbose


def register(app: typer.Typer) -> None:
    app.command("compare")(compare)


def compare(
    experiment: Annotated[pathlib.Path, typer.Argument(metavar="EXPERIMENT.yaml", help="The experiment file.")],
    overrides: Overrides = None,
    out: Annotated[
        pathlib.Path | None, typer.Option("--out", help="The folder; runs/NAME/compare-ID if not given.")
    ] = None,
    plugin: Plugins = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Solve an experiment by several solvers at several tolerances; print what accuracy costs with each.

    The experiment's section `compare` says which. Errors are against a reference by a solver that is not on trial,
    checked by another. With `compare.descent` it is gradient descent at several learning rates instead, against the
    gradient flow and the modified flow, and the orders of its distance. The table goes to stdout; table, dataset and
    figure go into a folder.

    \b
    Examples:
      flowsim compare solver_accuracy.yaml
      flowsim compare descent_order.yaml
      flowsim compare figure1.yaml 'compare.solvers=[tsit5, dopri8, scipy_rk45]' flow.t1=10.0
    """
    output = Output(json, quiet, verbose, debug)
    with output.ending():
        load_plugins(plugin or [])
        checked = load(experiment, overrides or ())
        folder = _new_folder(checked.name) if out is None else out
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            output.refuse(f"{folder} is there already: choose another --out.")
        from ..config.array_files import ArrayErrors  # these load JAX and the whole simulator
        from ..experiment.comparison import run_comparison

        try:
            found = run_comparison(checked, source_folder=experiment.parent, folder=folder, say=output.detail)
        except (ArrayErrors, ValueError) as error:
            output.refuse(str(error))
        output.data(found.table())
        output.say(f"table, dataset and figure: {folder}")
        output.document({"status": "done", "folder": str(folder), "t1": found.t1, **found.document()})


def _new_folder(name: str) -> pathlib.Path:
    started = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    return pathlib.Path("runs") / name / f"compare-{started}-{secrets.token_hex(2)}"
