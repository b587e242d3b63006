"""`flowsim compare`: work against precision of several solvers on an experiment's problem."""

import dataclasses
import datetime
import math
import pathlib
import secrets
from typing import Annotated, Any

import typer

from ..experiment import load
from ._output import Debug, Json, Output, Overrides, Quiet, Verbose


def register(app: typer.Typer) -> None:
    app.command("compare")(compare)


def compare(
    experiment: Annotated[pathlib.Path, typer.Argument(metavar="EXPERIMENT.yaml", help="The experiment file.")],
    overrides: Overrides = None,
    out: Annotated[
        pathlib.Path | None, typer.Option("--out", help="The folder; runs/NAME/compare-ID if not given.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Solve an experiment by several solvers at several tolerances; print what accuracy costs with each.

    The experiment's section `compare` says which. Errors are against a reference by a solver that is not on trial,
    checked by another. The table goes to stdout; table, dataset and figure go into a folder.

    \b
    Examples:
      flowsim compare solver_accuracy.yaml
      flowsim compare figure1.yaml 'compare.solvers=[tsit5, dopri8, scipy_rk45]' flow.t1=10.0
    """
    output = Output(json, quiet, verbose, debug)
    with output.ending():
        checked = load(experiment, overrides or ())
        folder = _new_folder(checked.name) if out is None else out
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            output.refuse(f"{folder} is there already: choose another --out.")
        from ..experiment.array_files import ArrayErrors  # these load JAX and the whole simulator
        from ..experiment.comparison import run_comparison

        try:
            found = run_comparison(checked, source_folder=experiment.parent, folder=folder, say=output.detail)
        except (ArrayErrors, ValueError) as error:
            output.refuse(str(error))
        output.data(found.table())
        output.say(f"table, dataset and figure: {folder}")
        runs = [_plain(dataclasses.asdict(run)) for run in found.runs]
        about = {"reference": found.reference, "check": found.check, "reference_error": found.reference_error}
        output.document({"status": "done", "folder": str(folder), "t1": found.t1, **about, "runs": runs})


def _new_folder(name: str) -> pathlib.Path:
    started = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    return pathlib.Path("runs") / name / f"compare-{started}-{secrets.token_hex(2)}"


def _plain(value: Any) -> Any:
    """JSON has no numbers that are none: null instead."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
