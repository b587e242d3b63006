"""`seeds`: one run folder over the members of a sweep over seeds.

The members are ordinary runs, in `members/` of the folder. They run in this process unless another place is given.
"""

import pathlib
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from .. import ensemble, plugin, store
from .._files import StoreError
from ..config import Source, resolved_yaml
from ..config.schema import Experiment
from ..ensemble import EnsembleResult
from ..ensemble.members import Listed
from ..experiment import build, influenced, sizes
from ..experiment.account import Account
from ..experiment.home import Home, opened
from ..experiment.identity import identity
from ..experiment.run import Interrupted, Outcome, checking, done
from ..problem import Problem
from ..simulation import Prepared
from .axes import Axis
from .drive import DiskFull, Stopped, drive
from .expand import Plan, expand
from .folder import Sweep
from .inside import InProcess
from .look import look
from .medians import write
from .place import AbstractPlace
from .state import States, finished
from .stored import Folders, read

Place = Callable[[Sweep], AbstractPlace]
Counted = Callable[[int, int], None]
"""`(members that have ended, members)`"""


def run_ensemble(
    source: Source,
    folder: pathlib.Path,
    *,
    resume: bool = False,
    force: bool = False,
    place: Place | None = None,
    members: Counted | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Every seed, then the folder of all of them. What an interrupted run has finished is not run again.

    **Arguments:** `place`: where the members run, made of the sweep's path; None: here. `members`: called as they end.
    The rest as of `run_experiment`.

    **Returns:** of members that a queue still runs, an outcome with status `incomplete`; `--resume` finishes it.

    **Raises:** as `run_experiment`; `StoreError` if members could not be run; `PlaceError`.
    """
    account, experiment = Account(), source.experiment
    build.configure(experiment.precision)
    with account.stage("building"):
        first, problem = first_member(experiment, source.folder)
        prepared = build.prepared(first, problem, source.folder)
        influenced.refuse(first, problem, prepared)
        who = identity(experiment, source.folder)
    where = None if place is None else place(Sweep(store.RunFolder(folder).coming(fresh=not resume), [], {}))
    with opened(source, prepared, folder, resume=resume, force=force) as home:
        if home.finished:
            if where is not None:
                where.close()
            return done(home.run, say)
        say = checking(home.stop, say)
        home.run.segments.open_members(who)
        plan = plan_over(first, source.folder, seed=experiment.seeds)
        listed = expand(plan)
        own = {one.values["seed"]: one.id for one in listed}
        sweep = Sweep.inside(home.run.path, plan, listed)
        with account.stage("members"):
            left = _Members(first, source.folder, sweep, own, home, say, members).run(where)
        if left:
            return Outcome(home.run.home, _incomplete(experiment, left, len(own)), True)
        say("figures and report")
        with account.stage("descent, figures and report"):
            result = EnsembleResult(Listed([read(sweep.folder(name), seed) for seed, name in own.items()]))
            summary = write(experiment, first, source.folder, result, home.run)
        return Outcome(home.run.home, summary, result.ok, seconds=account.seconds)


def member(experiment: Experiment, seed: int) -> Experiment:
    """The single run of one seed: its own data and its own initialization."""
    return experiment.model_copy(update={"seed": seed, "seeds": ()})


def first_member(experiment: Experiment, folder: pathlib.Path) -> tuple[Experiment, Problem]:
    """The first seed's run, with the reduction that all members share, and its problem."""
    first = member(experiment, experiment.seeds[0])
    sizes.refuse_weights_that_cannot_fit(first)
    problem = build.problem(first, folder)
    flow = build.flow(first, build.context(first, problem, folder))
    name = ensemble.shared_reduction(experiment.flow.reduction, problem, flow)
    return first.model_copy(update={"flow": first.flow.model_copy(update={"reduction": name})}), problem


_LEFT_OUT = {"seeds": (), "descent": (), "influence": (), "log": (), "figures": (), "scaling": (), "sweep": {}}


def plan_over(base: Experiment, folder: pathlib.Path, **axes: Sequence[Any]) -> Plan:
    """The sweep that an experiment's own runs make: of the flow alone, as descent and figures are the whole's.

    **Arguments:** `axes`: the values of each key, as in `seed=(0, 1)`.
    """
    text = resolved_yaml(base.model_copy(update=_LEFT_OUT))
    own = tuple(Axis((key,), tuple((value,) for value in values)) for key, values in axes.items())
    return Plan(text, f"{base.name}.yaml", folder.resolve(), (), own, tuple(map(str, plugin.sources())))


class _Members:
    """The members of an ensemble, run at a place.

    **Arguments:** `own`: their ids by their seeds.
    """

    def __init__(
        self,
        first: Experiment,
        folder: pathlib.Path,
        sweep: Sweep,
        own: Mapping[int, str],
        home: Home,
        say: Callable[[str], None],
        counted: Counted | None,
    ):
        self._first, self._folder, self._sweep, self._own = first, folder, sweep, own
        self._home, self._say, self._counted = home, say, counted or (lambda *_: None)

    def run(self, where: AbstractPlace | None) -> int:
        """Run what has not ended; returns how many a queue still has.

        **Raises:** `StoreError` with the reason of a member that could not be run.
        """
        certified = self._first.certificate.method != "none"
        if where is None:
            self._say(f"{len(self._own)} seeds in this process, the quick path for small runs on one machine; "
                      "--on local, slurm or dask runs each in a process of its own")  # fmt: skip
        if certified:
            self._say("certificate: every seed is integrated again with another solver, about as much work once more")
        if self._first.descent:
            self._say(f"descent: the optimizer's run of seed {self._first.seed} only, beside the medians of all")
        self._counted(len(self._own) - len(set(self._states().pending()) & set(self._own.values())), len(self._own))
        if where is None and jax.default_backend() != "cpu":
            self._together(certified)
        where = where or InProcess(self._sweep)
        self._drive(where)
        return self._left(where)

    def _together(self, certified: bool) -> None:
        """In batches of the accelerator's, whose members step together."""

        def prepared(seed: int) -> Prepared:
            one = member(self._first, seed)
            return build.prepared(one, build.problem(one, self._folder), self._folder)

        store = Folders(self._sweep, self._own)
        ensemble.run(prepared, tuple(self._own), certified=certified, store=store, progress=self._counted)

    def _drive(self, where: AbstractPlace) -> None:
        again = set(self._states().pending())
        pending = [name for name in self._own.values() if name in again]
        number, over = len(self._own), len(self._own) - len(pending)
        if not pending or where.detached:
            if pending:
                where.submit(pending)
            where.close()
            return

        def tell(tally, ended) -> None:
            now = tally.done + tally.failed
            for count in range(now - sum(one.state in ("done", "failed") for one in ended), now):
                self._counted(over + count + 1, number)

        try:
            drive(where, pending, tell)
        except Stopped as stopped:
            raise Interrupted(stopped.signal, self._home.run.home) from None
        except KeyboardInterrupt:
            raise Interrupted(signal.SIGINT, self._home.run.home, abandoned=True) from None
        except DiskFull as error:
            raise StoreError(str(error)) from None

    def _left(self, where: AbstractPlace) -> int:
        ours = set(self._own.values())
        left = [one for one in self._states().members if one.member.id in ours]
        left = [one for one in left if not finished(self._sweep.folder(one.member.id))]
        failed = [one for one in left if one.again]
        if failed and not where.detached:
            one, home = failed[0], self._home.run.home
            raise StoreError(
                f"{len(failed)} of {len(ours)} seeds could not be run, the first of them {one.member.values['seed']}: "
                f"{one.reason or one.state}; `flowsim status {home}` lists them, and `flowsim run --resume {home}` "
                "tries again"
            )
        return len(left)

    def _states(self) -> States:
        """With what queues say; one that does not answer is said."""
        now, remark = look(self._sweep)
        if remark:
            self._say(f"{remark}: what it has is not known here")
        return now


def _incomplete(experiment: Experiment, left: int, number: int) -> store.Summary:
    message = f"{number - left} of {number} seeds have ended; the others are in a queue, or run elsewhere"
    return store.Summary(schema_version=store.SCHEMA_VERSION, name=experiment.name, message=message)
