"""`flowsim run --resume DIR flow.t1=…`: a finished run goes on to a later end."""

import pathlib

from .. import store
from .._files import RefusedError
from ..config.resolved import resolved_yaml
from ..config.schema import Experiment
from ..config.schema.save import GivenTimes
from . import build
from .identity import identity


def lengthen(experiment: Experiment, source_folder: pathlib.Path, folder: pathlib.Path) -> Experiment:
    """Make a finished run an unfinished one of the longer experiment, which `run_experiment` then resumes.

    What was saved stays; the run goes on from before the step that its end cut short.

    **Arguments:** `experiment`: the run's own with another `flow.t1`, and perhaps other `save` times after its end.

    **Returns:** the experiment as it goes on: its save times are the old ones and the new ones after them.

    **Raises:** `StoreError` if the run has not ended, failed, or differs in more.
    """
    summary = store.Summary.read(folder)
    if summary is None:
        raise RefusedError(
            f"{folder} has not ended, and nothing of it can be changed before it has: finish it with "
            f"`flowsim run --resume {folder}` alone, or start a new run with the changes"
        )
    if summary.status not in ("done", "step_limit"):
        raise RefusedError(f"{folder} ended with {summary.status!r}: only a run that reached its end can go on")
    if experiment.seeds:
        raise RefusedError(f"{folder} is of many seeds; run it again with the new end")
    reached = 0.0 if summary.final is None else summary.final.time or 0.0
    if experiment.flow.t1 <= reached:
        raise RefusedError(f"{folder} has reached t = {reached:g}: flow.t1 must be later")
    build.configure(experiment.precision)
    times = store.save_times_of(folder, build.save_times(experiment))
    save = GivenTimes(times=tuple(float(time) for time in times))
    longer = experiment.model_copy(update={"save": save})
    run = store.RunFolder(folder)
    with store.Lock(folder):
        store.reopen(folder, identity(longer, source_folder), run.segments)
        store.write_text(folder / "resolved.yaml", resolved_yaml(longer))
        (folder / "summary.json").unlink()
    return longer
