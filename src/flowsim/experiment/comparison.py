"""`flowsim compare`: an experiment's problem, solved by every method."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray

from .. import plot, store
from .._files import write_bytes, write_text
from ..compare import Comparison, DescentOrder, descent_order, work_precision
from ..config import Source, resolved_yaml
from ..config.schema import Experiment
from ..problem import Problem
from . import build, folders, pieces
from .git import git_state
from .identity import identity, inputs
from .signals import stopping


def run_comparison(
    source: Source,
    folder: pathlib.Path,
    *,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Comparison | DescentOrder:
    """Run the comparison of an experiment and write its dataset, figure and `table.txt` into `folder`: of solvers as
    `work_precision.nc`, `.png` and `.pdf`, of descent as `descent_order`.

    What each method gave at each setting is kept in the folder until all have ended, for a resumed comparison.

    **Raises:** `ValueError` if the reference, or a flow, fails, or if the reference is one of the methods compared;
    `StoreError` for a folder that cannot be used; `Interrupted` after SIGINT or SIGTERM.
    """
    experiment = source.experiment
    build.configure(experiment.precision)
    problem, who = build.problem(experiment, source.folder), identity(experiment, source.folder)
    run = store.RunFolder(folder)
    if not resume:
        run.create(inputs=inputs(experiment, source.folder).values())
    with store.Lock(folder), stopping(folder, "compare") as stop:
        run.prepare(fresh=not resume)
        if resume:
            run.check_inputs()
        else:
            run.write_inputs(source.text, resolved_yaml(experiment), _meta(source, folder))
        run.segments.open_members(who)
        kept = pieces.outcomes(run, who)

        def tell(text: str) -> None:
            stop.check()
            say(text)

        compare = _solvers if experiment.compare.descent is None else _descent
        found, name, picture = compare(experiment, problem, tell, kept)
        store.write_dataset(run.path / f"{name}.nc", found.dataset())
        for form in ("png", "pdf"):
            write_bytes(run.path / f"{name}.{form}", plot.rendered(picture, form))
        write_text(run.path / "table.txt", found.table() + "\n")
        run.finish()
    return found


def _meta(source: Source, folder: pathlib.Path) -> dict[str, Any]:
    return {
        "schema_version": store.SCHEMA_VERSION,
        "name": source.experiment.name,
        "command": "compare",
        "source_folder": folders.written(source.folder, folder),
        "git": git_state(source.folder),
        **store.environment(),
    }


def _descent(experiment: Experiment, problem: Problem, say: Callable[[str], None], _: pieces.Pieces):
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
    return found, "descent_order", plot.FIGURES["descent"](plot.Drawing(xarray.Dataset(), overlays=runs))


def _solvers(experiment: Experiment, problem: Problem, say: Callable[[str], None], kept: pieces.Pieces):
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
        keep=kept.of,
    )
    return comparison, "work_precision", plot.work_precision.figure(comparison.dataset())


def _thinned(times: np.ndarray, most: int = 60) -> np.ndarray:
    """Probes are compared at no more than `most` of the save times."""
    return times[np.unique(np.linspace(0, len(times) - 1, most).round().astype(int))]
