"""What the commands share: their common options, and the decorator that gives them to each."""

import functools
import inspect
import pathlib
from collections.abc import Callable
from typing import Annotated, Any

import typer

from ..plugin import load as load_plugins
from . import completion
from .output import Output

Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document to stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Plugins = Annotated[
    list[pathlib.Path] | None,
    typer.Option("--plugin", metavar="FILE", help="Run this Python module first; it registers parts of your own."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="key.sub=value",
        help="Changes to the experiment; values are YAML.",
        show_default=False,
        autocompletion=completion.changes,
    ),
]
ExperimentFile = Annotated[
    pathlib.Path | None, typer.Argument(metavar="EXPERIMENT.yaml", help="The experiment file.", show_default=False)
]
Folder = pathlib.Path | None
Out = Annotated[Folder, typer.Option("--out", metavar="DIR", help="The run folder; runs/NAME/ID if not given.")]
Resume = Annotated[Folder, typer.Option("--resume", metavar="DIR", help="Go on with what was interrupted there.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the run folder if it is there.")]

Jobs = Annotated[
    int | None,
    typer.Option("--jobs", metavar="INTEGER", min=1, help="Members at once; one per core or device if not given."),
]
Slurm = Annotated[
    list[str] | None, typer.Option("--slurm", metavar="KEY=VALUE", help="An option of sbatch: partition=gpu.")
]
PerTask = Annotated[
    int | None,
    typer.Option("--per-task", metavar="INTEGER", min=1, help="Members of one Slurm task, one after the other."),
]

_SPEECH = {"json": Json, "quiet": Quiet, "verbose": Verbose, "debug": Debug}


def command(function: Callable[..., None] | None = None, *, plugins: bool = False) -> Callable[..., Any]:
    """A function `(output, …)` as a command: with the options of speech, and every failure as message and exit code.

    **Arguments:** `plugins`: with `--plugin` too, whose modules are loaded before the function is called.
    """
    if function is None:
        return functools.partial(command, plugins=plugins)
    common = {**({"plugin": Plugins} if plugins else {}), **_SPEECH}

    @functools.wraps(function)
    def called(*positional: Any, **given: Any) -> None:
        output = Output(**{name: given.pop(name, False) for name in _SPEECH})
        with output.ending():
            load_plugins((given.pop("plugin", None) if plugins else None) or [])
            function(output, *positional, **given)

    called.is_command = True  # type: ignore[attr-defined]
    own = list(inspect.signature(function).parameters.values())[1:]  # after `output`
    added = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None if name == "plugin" else False,
                               annotation=kind) for name, kind in common.items()]  # fmt: skip
    # What Typer reads.
    called.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    called.__annotations__ = {**{one.name: one.annotation for one in own}, **common}
    return called
