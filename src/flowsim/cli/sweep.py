"""`flowsim sweep`: an experiment over axes, on this machine, Slurm or Dask."""

import json
import pathlib
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from .._files import StoreError
from ..config.yaml_text import read_text
from ..plugin import load as load_plugins
from ..sweep import Member, States, Sweep, SweepError, states
from ..sweep.drive import DiskFull, Stopped, Tally, drive
from ..sweep.expand import Plan, documented, expand, plan
from ..sweep.look import look
from ..sweep.place import PlaceError
from ..sweep.places import Options, place
from .command import ExperimentFile, Jobs, Overrides, PerTask, Plugins, Slurm, command
from .output import NUMERICAL, Output
from .status import Pace, record

_SHOWN = 20  # members listed by a person's dry run


@command
def sweep(
    output: Output,
    experiment: ExperimentFile = None,
    overrides: Overrides = None,
    out: Annotated[
        pathlib.Path | None, typer.Option("--out", metavar="DIR", help="The sweep's folder; sweeps/NAME if not given.")
    ] = None,
    resume: Annotated[
        pathlib.Path | None, typer.Option("--resume", metavar="DIR", help="Run what is not done of this sweep.")
    ] = None,
    on: Annotated[
        str, typer.Option("--on", metavar="PLACE", help="local, slurm, dask, or dask=tcp://HOST:PORT.")
    ] = "local",
    jobs: Jobs = None,
    slurm: Slurm = None,
    per_task: PerTask = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="MEMBER", help="With --resume: these members alone.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the members, run nothing.")] = False,
    print_commands: Annotated[
        bool, typer.Option("--print-commands", help="Print one command line a member, for another queue.")
    ] = False,
    plugin: Plugins = None,
) -> None:
    """Run an experiment over axes: its section `sweep`, and every list given for a key that takes one value.

    Each member is an ordinary run folder, members/HASH; what is done is not done again, and a sweep into the folder of
    another adds to it.

    \b
    Examples:
      flowsim sweep figure1.yaml 'model.width=[128,256,512]' 'seed={count: 10}'
      flowsim sweep figure1.yaml 'init.sigma0={log: [0.001, 1, 7]}' --dry-run
      flowsim sweep figure1.yaml 'model.width=[128,256]' --on slurm --slurm partition=gpu --slurm time=1:00:00
      flowsim sweep --resume sweeps/figure1 --on dask=tcp://host:8786
    """
    load_plugins(plugin or [])
    options = Options(jobs, per_task, tuple(slurm or ()))
    try:
        plugins = [str(path.resolve()) for path in plugin or []]
        request = _requested(output, experiment, overrides or [], out, resume, plugins)
        if dry_run:
            _plan(request, output)
        elif print_commands:
            _commands(request, output)
        else:
            _run(request, output, on, options, only or [])
    except (SweepError, StoreError, PlaceError, DiskFull) as error:
        output.refuse(f"{error}.")


class _Request:
    """A sweep that is asked for: its folder, and the plan that is to be added to it, if one is."""

    def __init__(self, folder: pathlib.Path, plan: Plan | None, members: Sequence[Member]):
        self.folder, self.plan, self.members = folder, plan, members

    def existing(self) -> Sweep | None:
        """The sweep that is in the folder already."""
        return Sweep.read(self.folder) if (self.folder / "sweep.json").exists() else None

    def made(self) -> Sweep:
        """The sweep on disk, with what is asked for."""
        return Sweep.read(self.folder) if self.plan is None else Sweep.add(self.folder, self.plan, self.members)


def _requested(
    output: Output,
    experiment: pathlib.Path | None,
    overrides: list[str],
    out: pathlib.Path | None,
    resume: pathlib.Path | None,
    plugins: list[str],
) -> _Request:
    folder = resume or out
    if folder is not None and _made_by(folder) == "verify":
        output.refuse(f"{folder} is a verification's, whose runs measure more: flowsim verify --resume {folder}.")
    if resume is not None:
        if experiment is not None or out is not None:
            output.refuse("--resume takes the sweep's folder alone: its experiment is in it.")
        found = Sweep.read(resume)
        return _Request(resume, None, list(found.members.values()))
    if experiment is None:
        output.refuse("give an experiment file, or --resume DIR.")
    asked = plan(
        read_text(experiment), origin=str(experiment), folder=experiment.parent, overrides=overrides, plugins=plugins
    )
    members = expand(asked)
    folder = pathlib.Path("sweeps") / asked.experiment(members[0].overrides).name if out is None else out
    return _Request(folder, asked, members)


def _made_by(folder: pathlib.Path) -> str:
    """The command that made the run folder that a sweep's folder is as well; empty if it is none."""
    try:
        return str(json.loads((folder / "meta.json").read_bytes())["command"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _plan(request: _Request, output: Output) -> None:
    """List the members, what they need, and what one took if one is done."""
    there = request.existing()
    known = {one.member.id: one.state for one in states(there).members} if there else {}
    seconds = states(there).seconds if there else None
    listed = [
        {"member": m.id, "values": m.values, "status": known.get(m.id, "waiting"), "overrides": list(m.overrides)}
        for m in request.members
    ]
    sizes = _sizes(request)
    for member in request.members[:_SHOWN]:
        output.data(f"{member.id}  {known.get(member.id, 'waiting'):<8} {documented(member)}")
    if len(listed) > _SHOWN:
        output.data(f"… and {len(listed) - _SHOWN} more (--json lists all)")
    new = sum(one["status"] != "done" for one in listed)
    output.say(f"{len(listed)} members, {new} to run, in {request.folder}")
    for size in sizes:
        output.say(f"{size['values']}: about {size['peak_estimate_bytes'] / 1e9:.2g} GB of memory")
    took = "no member is done yet" if seconds is None else f"a member takes {seconds:.3g} s"
    output.say(took if seconds is None else f"{took}: {seconds * new:.3g} s of one worker in all")
    output.document(
        {
            "status": "planned", "folder": str(request.folder), "count": len(listed), "to_run": new,
            "seconds_per_member": seconds, "sizes": sizes, "members": listed,
        }
    )  # fmt: skip


def _sizes(request: _Request) -> list[dict[str, Any]]:
    """What the first and the last member need: the corners of the product."""
    if request.plan is None:
        return []
    from ..sweep.sizes import measured  # loads JAX

    ends = {m.id: m for m in (request.members[0], request.members[-1])}
    return [{"values": documented(m), **measured(request.plan, m)} for m in ends.values()]


def _commands(request: _Request, output: Output) -> None:
    made = request.made()
    pending = states(made).pending()
    folder = str(request.folder.resolve())
    flowsim = [sys.executable, "-m", "flowsim"]
    lines = [shlex.join([*flowsim, "sweep", "--resume", folder, "--jobs", "1", "--only", m, "-q"]) for m in pending]
    if lines:
        output.data("\n".join(lines))
    else:
        output.say(f"every member in {request.folder} is done: there is nothing to run")
    output.document({"status": "planned", "folder": str(request.folder), "commands": lines})


def _run(request: _Request, output: Output, on: str, options: Options, only: Sequence[str]) -> None:
    where = place(on, Sweep(request.folder, [], {}), options)  # refused before anything is written
    made = request.made()
    before = _states(made, output)
    asked = {one.id for one in request.members}
    pending = [m for m in before.pending() if m in asked]
    if only:
        _refuse_unknown(made, only, output)
        pending = [m for m in pending if m in only]
    output.say(f"{len(request.members)} members in {request.folder}, {len(pending)} to run on {on.partition('=')[0]}")
    if not pending:
        where.close()
    elif where.detached:
        where.submit(pending, before.seconds)
        output.say(f"submitted; watch with: flowsim status {request.folder}")
    else:
        _wait(where, pending, request.folder, output)
    after = _states(made, output)
    output.data(str(request.folder))
    output.document({"folder": str(request.folder), "submitted": len(pending), **record(after)})
    failed = [one for one in after.members if one.state == "failed" and (not only or one.member.id in only)]
    for one in failed[:_SHOWN]:
        output.error(f"failed: {one.member.id} ({documented(one.member)}): {one.reason}")
    if failed:
        raise typer.Exit(NUMERICAL if not any(one.again for one in failed) else 1)


def _wait(where: Any, pending: Sequence[str], folder: pathlib.Path, output: Output) -> None:
    from .progress import progress

    pace = Pace()
    with progress(quiet=output.quiet) as shown:

        def tell(tally: Tally, ended: Sequence[Any]) -> None:
            over = tally.done + tally.failed
            shown.show(lambda seconds: pace.line(tally.members, over, tally.failed, seconds))

        try:
            drive(where, pending, tell)
        except Stopped as stop:
            output.interrupted(f"interrupted; go on with: flowsim sweep --resume {folder}", stop.signal)
        except KeyboardInterrupt:
            output.interrupted(f"interrupted twice; go on with: flowsim sweep --resume {folder}", 2, at_once=True)


def _refuse_unknown(made: Sweep, only: Sequence[str], output: Output) -> None:
    unknown = [m for m in only if m not in made.members]
    if unknown:
        output.refuse(f"{', '.join(unknown)}: not a member of {made.path} (`flowsim status {made.path}` lists them).")


def _states(made: Sweep, output: Output) -> States:
    """The states with what queues say; a queue that does not answer is said."""
    now, remark = look(made)
    if remark:
        output.say(f"{remark}: the states below are those of the folders alone.")
    return now
