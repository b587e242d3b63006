"""`flowsim compare`: work against precision of several solvers on an experiment's problem."""

import pathlib
from typing import Annotated

import typer

from .command import ExperimentFile, Overrides, Resume, command
from .output import Output
from .run import asked_for, ending, new_folder, refuse_used


@command(plugins=True)
def compare(
    output: Output,
    experiment: ExperimentFile = None,
    overrides: Overrides = None,
    out: Annotated[
        pathlib.Path | None, typer.Option("--out", metavar="DIR", help="The folder; runs/NAME/compare-ID if not given.")
    ] = None,
    resume: Resume = None,
) -> None:
    """Solve an experiment by several solvers at several tolerances; print what accuracy costs with each.

    The experiment's section `compare` says which. Errors are against a reference by a solver that is not one of them,
    checked by another. With `compare.descent` it is gradient descent at several learning rates instead, against the
    gradient flow and the modified flow, and the orders of its distance. The table goes to stdout; table, dataset and
    figure go into a folder.

    \b
    Examples:
      flowsim compare solver_accuracy.yaml
      flowsim compare descent_order.yaml
      flowsim compare figure1.yaml 'compare.solvers=[tsit5, dopri8, scipy_rk45, sundials_bdf]' flow.t1=10.0
      flowsim compare --resume runs/figure1/compare-2026-01-31T12-00-00Z-1a2b
    """
    request = asked_for(output, "compare", experiment, overrides, out, resume, False)
    folder = new_folder(request.experiment, "compare-") if out is None and resume is None else request.folder
    if resume is None:
        refuse_used(folder, output)
    from ..experiment.comparison import run_comparison  # loads JAX and the whole simulator

    with ending(output):
        try:
            found = run_comparison(request.source, folder, resume=request.resume, say=output.detail)
        except ValueError as error:
            output.refuse(str(error))
    output.data(found.table())
    output.say(f"table, dataset and figure: {folder}")
    output.document({"status": "done", "folder": str(folder), "t1": found.t1, **found.document()})
