"""The `flowsim` command. Modules that need JAX are imported by the commands that need them, when they run."""

import atexit
import gc
import importlib
import io
import os
import pathlib
import pkgutil
import sys
import threading
import warnings
from typing import Annotated, Any

import typer

from .._version import __version__
from ..config.sections import OldSpelling
from .reading import Command

_EXAMPLES = """Exact gradient flow of transformers: adaptive integration, certified error, exact events.

Examples:

\b
  flowsim new figure1 > figure1.yaml        a commented experiment to start from
  flowsim check figure1.yaml                every error at once
  flowsim run figure1.yaml                  run it into runs/figure1/…
  flowsim run figure1.yaml flow.t1=1.0e6 solver.rtol=1e-10 --out long
  flowsim run --resume runs/figure1/…       go on with an interrupted run
  flowsim verify theory.yaml                the paper's claims, measured
  flowsim gallery verify saxe2014           the claims of another paper, measured
  flowsim compare solver_accuracy.yaml      work against precision
  flowsim solvers                           which solver, and when
  flowsim --install-completion              the shell completes commands, keys and kinds

\b
Exit codes: 0 done, 1 unexpected, 2 usage or bad experiment, 3 numerical failure,
130 or 143 interrupted (go on with run --resume).
"""

_GARBAGE = 100_000  # new objects between two searches for garbage: what loads and traces makes millions that live on

app = typer.Typer(
    name="flowsim",
    help=_EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

_FIRST = ("run", "check", "new")  # in the list of commands; the rest in order of the alphabet


def _register() -> None:
    """Every module of this folder whose function of its name is a command, or that has a `register` of its own."""
    found = sorted(module.name for module in pkgutil.iter_modules([str(pathlib.Path(__file__).parent)]))
    for name in (*_FIRST, *(name for name in found if name not in (*_FIRST, "app"))):
        module = importlib.import_module(f".{name}", __package__)
        function: Any = getattr(module, name, None)
        if hasattr(module, "register"):
            module.register(app)
        elif getattr(function, "is_command", False):
            app.command(name, cls=Command)(function)


_register()


def _version(wanted: bool) -> None:
    if wanted:
        print(f"flowsim {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


_other_warnings = warnings.showwarning


def _remark(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """What is still read, but to be written otherwise, is one line."""
    if issubclass(category, OldSpelling):
        print(f"flowsim: {message}.", file=sys.stderr)
    else:
        _other_warnings(message, category, *place, **more)


def main() -> None:
    """The entry point of the `flowsim` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode still gets every message
    warnings.showwarning = _remark
    gc.set_threshold(_GARBAGE)
    try:
        app(prog_name="flowsim")
    except SystemExit as end:
        _leave(end.code)
        raise


def _shared() -> bool:
    """Is this one of several processes of a run?"""
    if "jax" not in sys.modules:
        return False
    from ..distributed import several

    return several()


def _leave(code: Any) -> None:
    """End the process without taking down, object by object, all that JAX holds: half a second or more.

    Not where something else is still under way, or has to be told.
    """
    if not (code is None or isinstance(code, int)) or threading.active_count() > 1:
        return
    if not (code and _shared()):  # the others, which wait for this process, would be waited for
        atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # closed, or nobody reads: Python's own ending knows what to do
        return
    os._exit(code or 0)
