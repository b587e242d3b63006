"""`flowsim compare`: an experiment's problem, solved by every contestant."""

import pathlib
from collections.abc import Callable

import numpy as np
import xarray

from .. import plot, store
from .._files import write_bytes, write_text
from ..compare import Comparison, DescentOrder, descent_order, work_precision
from ..config.schema import Experiment
from ..problem import Problem
from . import build


def run_comparison(
    experiment: Experiment, *, source_folder: pathlib.Path, folder: pathlib.Path, say: Callable[[str], None]
) -> Comparison | DescentOrder:
    """Run the comparison of an experiment and write its dataset, figure and `table.txt` into `folder`: of solvers as
    `work_precision.nc`, `.png` and `.pdf`, of descent as `descent_order`.

    **Raises:** `ValueError` if the reference, or a flow, fails, or if the reference is on trial.
    """
    build.configure(experiment.precision)
    problem = build.problem(experiment, source_folder)
    found, name, picture = (_solvers if experiment.compare.descent is None else _descent)(experiment, problem, say)
    folder.mkdir(parents=True, exist_ok=True)
    store.write_dataset(folder / f"{name}.nc", found.dataset())
    for form in ("png", "pdf"):
        write_bytes(folder / f"{name}.{form}", plot.rendered(picture, form))
    write_text(folder / "table.txt", found.table() + "\n")
    return found


def _descent(experiment: Experiment, problem: Problem, say: Callable[[str], None]):
    entry = experiment.compare.descent
    assert entry is not None
    found = descent_order(
        problem,
        entry.learning_rates,
        experiment.flow.t1,
        events=build.events_of(experiment, build.context(experiment, problem)),
        tube=entry.tube,
        edge_points=entry.edge_points,
        solver=experiment.solver.kind,
        max_steps=experiment.solver.max_steps,
        progress=say,
    )
    runs = [drift.dataset() for drift in (*found.to_flow, *found.to_modified)]
    return found, "descent_order", plot.descent.figure(plot.Drawing(xarray.Dataset(), overlays=runs))


def _solvers(experiment: Experiment, problem: Problem, say: Callable[[str], None]):
    entry = experiment.compare
    comparison = work_precision(
        problem,
        solvers=entry.solvers,
        tolerances=entry.tolerances,
        t1=experiment.flow.t1,
        learning_rates=entry.learning_rates,
        events=build.events_of(experiment, build.context(experiment, problem)),
        save_times=_thinned(build.save_times(experiment)),
        atol_ratio=entry.atol_ratio,
        reference=None if entry.reference is None else (entry.reference[0], entry.reference[1]),
        repeats=entry.repeats,
        max_steps=experiment.solver.max_steps,
        progress=say,
    )
    return comparison, "work_precision", plot.work_precision.figure(comparison.dataset())


def _thinned(times: np.ndarray, most: int = 60) -> np.ndarray:
    """Probes are compared at no more than `most` of the save times."""
    return times[np.unique(np.linspace(0, len(times) - 1, most).round().astype(int))]
