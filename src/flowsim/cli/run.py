"""`flowsim run`: one experiment into a run folder, or an interrupted run taken up again."""

import dataclasses
import datetime
import pathlib
import secrets
import time as clock
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from .._files import RefusedError, explain
from ..config import Experiment, Place, Source, load_text, resolved_yaml
from ..config.problems import refusal
from ..config.yaml_text import read_text
from ..sweep.folder import Sweep, SweepError
from ..sweep.place import PlaceError
from ..sweep.places import Options, place
from .command import ExperimentFile, Force, Jobs, Out, Overrides, PerTask, Resume, Slurm, command
from .output import NUMERICAL, Output, keep_stdout_for_data
from .progress import loading, progress, telling

STARTED = clock.monotonic()  # when the command was loaded: what a person waits for begins here


@dataclasses.dataclass(frozen=True)
class Request:
    """What is to be run, and where."""

    source: Source
    folder: pathlib.Path
    resume: bool = False

    @property
    def experiment(self) -> Experiment:
        """The one that is to be run."""
        return self.source.experiment


@contextmanager
def ending(output: Output) -> Iterator[None]:
    """A run that a signal ended, or arrays that cannot be read, as message and exit code."""
    from ..config.array_files import ArrayErrors  # these load JAX
    from ..experiment.signals import Interrupted

    try:
        yield
    except Interrupted as stop:
        output.interrupted(str(stop), stop.signal, at_once=stop.abandoned)
    except (ArrayErrors, PlaceError, SweepError) as error:
        output.refuse(f"{error}.")


@command(plugins=True)
def run(
    output: Output,
    experiment: ExperimentFile = None,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = None,
    force: Force = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Build everything, show the plan, run nothing.")] = False,
    on: Annotated[
        str | None,
        typer.Option(
            "--on", metavar="PLACE", help="Run each of the seeds there: local, slurm, dask, dask=tcp://HOST:PORT."
        ),
    ] = None,
    jobs: Jobs = None,
    slurm: Slurm = None,
    per_task: PerTask = None,
) -> None:
    """Run an experiment into a run folder, whose path is printed to stdout.

    Members of `seeds` run in this process, unless --on says where else; each has a run folder in members/.

    \b
    Examples:
      flowsim run figure1.yaml
      flowsim run figure1.yaml flow.t1=1.0e6 'descent=[]' --out long
      flowsim run figure1.yaml --dry-run
      flowsim run --resume runs/figure1/2026-01-31T12-00-00Z-1a2b
      flowsim run --resume runs/figure1/2026-01-31T12-00-00Z-1a2b flow.t1=1.0e6
      flowsim run figure1.yaml seeds=100 --on slurm --slurm partition=gpu
    """
    request = asked_for(output, "run", experiment, overrides, out, resume, force)
    if request.experiment.sweep:
        output.say("one run, of the experiment itself: `flowsim sweep` runs the members of its section sweep")
    if dry_run:
        _plan(request, output)
    else:
        execute(request, output, force, _place(request, output, on, Options(jobs, per_task, tuple(slurm or ()))))


def _place(request: Request, output: Output, on: str | None, options: Options) -> Callable[[Sweep], Any] | None:
    """Where the members of an ensemble run; None: in this process."""
    if on is None:
        if options != Options():
            output.refuse("--jobs, --slurm and --per-task are for --on.")
        return None
    if not request.experiment.seeds:
        output.refuse("--on is for the members of `seeds`: `flowsim sweep` runs any experiment elsewhere.")
    return lambda sweep: place(on, sweep, options)


def asked_for(
    output: Output,
    command: str,
    experiment: pathlib.Path | None,
    overrides: list[str] | None,
    out: pathlib.Path | None,
    resume: pathlib.Path | None,
    force: bool,
) -> Request:
    """What a command is to do: an experiment anew, or the interrupted one of a run folder."""
    if resume is not None:
        changes = [*([str(experiment)] if experiment is not None else []), *(overrides or [])]
        if out is not None or force or not all("=" in change for change in changes):
            output.refuse("--resume takes the run folder, whose experiment is in it, and changes like flow.t1=1e6.")
        if changes and command != "run":
            output.refuse(f"--resume DIR takes no changes here: start a new {command} with them.")
        with loading(quiet=output.quiet):
            return resumed(resume, command, changes)
    if experiment is None:
        output.refuse("give an experiment file, or --resume DIR (`flowsim new` prints an experiment).")
    return requested(experiment, overrides or [], out)


def requested(path: pathlib.Path, overrides: list[str], out: pathlib.Path | None) -> Request:
    """What an experiment file with its overrides asks for."""
    text = read_text(path)
    experiment = load_text(text, origin=str(path), folder=path.parent, overrides=overrides)
    return Request(Source(experiment, text, path.parent), new_folder(experiment) if out is None else out)


def new_folder(experiment: Experiment, prefix: str = "") -> pathlib.Path:
    """A run folder of its own, `runs/NAME/ID`."""
    started = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    return pathlib.Path("runs") / experiment.name / f"{prefix}{started}-{secrets.token_hex(2)}"


def resumed(folder: pathlib.Path, command: str = "run", changes: Sequence[str] = ()) -> Request:
    """The request by which a command made a run folder; its overrides are in `resolved.yaml` only.

    **Arguments:** `changes`: of a finished run that is to go on to a later `flow.t1`, or of the devices.
    """
    if not folder.is_dir():
        raise refusal(Place(str(folder)), "is not a folder; --resume takes a run folder.")
    from ..experiment import folders  # loads JAX
    from ..store import Meta, resumable

    current = resumable(folder)
    meta = Meta.read(current)
    if meta.command == "simulate":
        raise refusal(Place(str(folder)), "was made in Python: call flowsim.simulate again with this folder=.")
    if meta.command != command:
        raise refusal(Place(str(folder)), f"was made by {meta.command}: `flowsim {meta.command} --resume {folder}`.")
    start = folders.read(meta.source_folder, folder)
    resolved, given = current / "resolved.yaml", current / "experiment.yaml"
    experiment = load_text(read_text(resolved), origin=str(resolved), folder=start, overrides=changes)
    if any(_section(change) != "devices" for change in changes):
        from ..experiment.lengthen import lengthen
        from ..store import StoreError

        try:
            experiment = lengthen(experiment, start, folder)
        except StoreError as error:  # a sentence that names the folder or a file in it
            raise RefusedError(f"{error}.") from None
    text = read_text(given) if given.exists() else ""
    return Request(Source(experiment, text, start), folder, resume=True)


def _section(change: str) -> str:
    """The section of an experiment that an override is in."""
    return change.partition("=")[0].partition(".")[0].strip()


def _plan(request: Request, output: Output) -> None:
    """Build everything and show what would run."""
    from ..experiment import build, sizes  # these load JAX

    output = _joined(request, output)
    build.configure(request.experiment.precision)
    sizes.refuse_weights_that_cannot_fit(request.experiment)
    problem = build.problem(request.experiment, request.source.folder)
    prepared = build.prepared(request.experiment, problem, request.source.folder)
    measured = sizes.measure(problem, prepared)
    sizes.refuse_what_cannot_fit(measured)
    plan = {
        "folder": str(request.folder),
        "reduction": prepared.reduction.name,
        "reduction_reason": prepared.reduction.reason,
        "solver": prepared.plan.method.kind,
        "saved_times": len(prepared.save_times),
        **{f"{name}_bytes": size for name, size in dataclasses.asdict(measured).items()},
    }
    for key, value in plan.items():
        shown = size_text(value) if key.endswith("_bytes") else value
        output.say(f"{key.removesuffix('_bytes').replace('_', ' ')}: {shown}")
    output.data(resolved_yaml(request.experiment).rstrip("\n"))
    output.document({"status": "planned", **plan, "experiment": request.experiment.model_dump(mode="json")})


def execute(request: Request, output: Output, force: bool, where: Callable[[Sweep], Any] | None = None) -> None:
    """Run into the request's folder, or take up what was interrupted there.

    **Arguments:** `where`: a place for the members of an ensemble.
    """
    folder = request.folder
    if not request.resume and not force:
        refuse_used(folder, output)
    output = _joined(request, output)
    how: dict[str, Any] = {"resume": request.resume, "force": force}
    with loading(quiet=output.quiet):
        from ..experiment.run import run_experiment  # loads JAX and the whole simulator
    loaded = clock.monotonic() - STARTED
    with (
        ending(output),
        _together(output, folder),
        progress(quiet=output.quiet) as shown,
        telling(shown, verbose=output.verbose),
    ):
        how["say"] = shown.say
        if request.experiment.seeds:
            from ..sweep.ensemble import run_ensemble

            shown.doing("building the problem")
            outcome = run_ensemble(request.source, folder, **how, place=where, members=shown.members)
        else:
            outcome = run_experiment(request.source, folder, **how, progress=shown.update, stage=shown.doing)
    if not outcome.ended:
        output.say(f"{outcome.summary.message}; watch with: flowsim status {folder}")
        output.say(f"when they have ended: flowsim run --resume {folder}")
        output.data(str(outcome.folder))
        output.document({**outcome.summary.record(), "folder": str(outcome.folder)})
        return
    from ..report import summary_text  # loads Matplotlib, which a run has loaded by now

    account = {"loading": loaded, **outcome.seconds, "total": clock.monotonic() - STARTED} if outcome.seconds else None
    for line in summary_text(outcome.summary, directory=outcome.folder, account=account).splitlines():
        output.say(line)
    output.data(str(outcome.folder))
    output.document({**outcome.summary.record(), "folder": str(outcome.folder)})
    if not outcome.ok:
        raise typer.Exit(NUMERICAL)


def _joined(request: Request, output: Output) -> Output:
    """How this process speaks, of a run on several devices once it has joined those that share it: the first does."""
    if request.experiment.devices.count == 1:
        return output
    from .. import distributed  # loads JAX

    keep_stdout_for_data()  # libraries say to whom they connect
    try:
        distributed.initialize()
    except (ValueError, RuntimeError) as error:
        output.refuse(f"the processes of the run do not come together: {str(error).rstrip('.')}.")
    return output if distributed.first() else output.silenced()


@contextmanager
def _together(output: Output, folder: pathlib.Path) -> Iterator[None]:
    """A run whose other processes are lost, as message and exit code."""
    import jax

    from .. import distributed

    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not distributed.several():
            raise
        why = " ".join(str(error).split())
        output.fail(f"a process of the run was lost ({why}); resume with: flowsim run --resume {folder}")


def refuse_used(folder: pathlib.Path, output: Output) -> None:
    """A folder that holds something is not written into unasked."""
    try:
        used = folder.exists() and (not folder.is_dir() or any(path.name != ".lock" for path in folder.iterdir()))
    except OSError as error:  # a name that is too long, a folder that may not be read
        raise RefusedError(explain(folder, error)) from None
    if used:
        output.refuse(f"{folder} is there already: choose another --out, or replace it with --force.")


def size_text(size: int) -> str:
    """A number of bytes with its unit: `1.2 MB`."""
    value, units = float(size), ["B", "kB", "MB", "GB", "TB", "PB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"
