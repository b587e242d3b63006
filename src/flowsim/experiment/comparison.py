"""`flowsim compare`: an experiment's problem, solved by every contestant."""

import pathlib
from collections.abc import Callable

import numpy as np

from .. import store
from .._files import write_bytes, write_text
from ..compare import Comparison, work_precision
from ..plot import rendered
from ..plot import work_precision as plot
from . import build
from .schema import Experiment


def run_comparison(
    experiment: Experiment, *, source_folder: pathlib.Path, folder: pathlib.Path, say: Callable[[str], None]
) -> Comparison:
    """Run the comparison of an experiment and write `work_precision.nc`, `.png`, `.pdf` and `table.txt` into `folder`.

    **Raises:** `ValueError` if the reference fails or is on trial.
    """
    build.configure(experiment.precision)
    problem, entry = build.problem(experiment, source_folder), experiment.compare
    comparison = work_precision(
        problem,
        solvers=entry.solvers,
        tolerances=entry.tolerances,
        t1=experiment.flow.t1,
        learning_rates=entry.learning_rates,
        events=build.events_of(experiment),
        save_times=_thinned(build.save_times(experiment)),
        atol_ratio=entry.atol_ratio,
        reference=None if entry.reference is None else (entry.reference[0], entry.reference[1]),
        repeats=entry.repeats,
        max_steps=experiment.solver.max_steps,
        progress=say,
    )
    folder.mkdir(parents=True, exist_ok=True)
    dataset = comparison.dataset()
    store.write_dataset(folder / "work_precision.nc", dataset)
    picture = plot.figure(dataset)
    for form in ("png", "pdf"):
        write_bytes(folder / f"work_precision.{form}", rendered(picture, form))
    write_text(folder / "table.txt", comparison.table() + "\n")
    return comparison


def _thinned(times: np.ndarray, most: int = 60) -> np.ndarray:
    """Probes are compared at no more than `most` of the save times."""
    return times[np.unique(np.linspace(0, len(times) - 1, most).round().astype(int))]
