"""One member, run in this process by the ordinary run path. It loads JAX, as places that run members do."""

import logging
import pathlib

from .. import plugin
from .._files import StoreError
from ..config import ExperimentErrors, Source
from ..config.array_files import ArrayErrors
from ..experiment.run import Interrupted, run_experiment
from ..experiment.signals import Stop
from .claim import Busy, claimed
from .ended import BUSY, DISK, FAILED, INTERRUPTED, Ended
from .failure import on_full_disk, record_failure
from .folder import Sweep
from .state import finished, found_ended


def run_member(sweep: Sweep, name: str, stop: Stop | None = None) -> Ended:
    """Run a member from where it stands; one that has ended is left as it is.

    **Arguments:** `stop`: ends it at its next checkpoint, in a thread that hears of no signal.
    """
    folder = sweep.folder(name)
    try:
        if finished(folder):
            return found_ended(name, folder)
        with claimed(sweep.claim(name)):
            return _run(sweep, name, folder, stop)
    except Busy:
        return Ended(name, BUSY)
    except Interrupted as interrupted:
        return Ended(name, INTERRUPTED, signal=interrupted.signal, abandoned=interrupted.abandoned)
    except Exception as error:
        return _failed(sweep, name, error)


def _run(sweep: Sweep, name: str, folder: pathlib.Path, stop: Stop | None) -> Ended:
    member = sweep.members[name]
    plan = sweep.plans[member.plan]
    plugin.load([pathlib.Path(path) for path in plan.plugins])
    source = Source(plan.experiment(member.overrides), plan.text, plan.folder, member=name)
    resume = (folder / "meta.json").exists()  # without it nothing counts as written
    sweep.failure(name).unlink(missing_ok=True)  # of an earlier try, before anything can count as finished
    outcome = run_experiment(source, folder, resume=resume, force=not resume, stop=stop)
    return Ended.of_run(name, outcome.summary.complete, outcome.summary.message)


def _failed(sweep: Sweep, name: str, error: Exception) -> Ended:
    if on_full_disk(error):
        return Ended(name, DISK, str(error))
    if isinstance(error, StoreError | ExperimentErrors | ArrayErrors | plugin.PluginError):
        reason = str(error)
    else:
        reason = f"{type(error).__name__}: {error}"
        logging.getLogger("flowsim").warning("member %s failed: %s", name, reason, exc_info=True)
    return record_failure(sweep, Ended(name, FAILED, " ".join(reason.split())))
