"""What goes where: data to stdout, everything else to stderr, and an exit code for every ending."""

import dataclasses
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from .._files import RefusedError, StoreError
from ..config import ExperimentErrors
from ..config.problems import printable
from ..plugin import PluginError

SCHEMA_VERSION = 1

_SHOWN = 50  # errors; the JSON document has all of them

UNEXPECTED, REFUSED, NUMERICAL, INTERRUPTED = 1, 2, 3, 130


@dataclasses.dataclass(frozen=True)
class Output:
    """How one command speaks."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    silent: bool = False  # another process of the same run speaks

    def silenced(self) -> "Output":
        """Of a process that leaves the speaking to another: nothing is said but what it alone may know, its errors."""
        return dataclasses.replace(self, json=False, quiet=True, verbose=False, silent=True)

    def data(self, text: str) -> None:
        """Data for a person or a script, unless a JSON document is asked for."""
        if not self.json and not self.silent:
            _print(text)

    def document(self, content: Mapping[str, Any]) -> None:
        """The command's one JSON document, if it is asked for."""
        if self.json:
            _print(json.dumps({"schema_version": SCHEMA_VERSION, **content}, indent=2, allow_nan=False))

    def say(self, text: str) -> None:
        """A message to the person who waits."""
        if not self.quiet:
            print(printable(text), file=sys.stderr, flush=True)

    def detail(self, text: str) -> None:
        """A message to the person who asked for more."""
        if self.verbose:
            self.say(text)

    def error(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Every way in which a command can fail, as a message and an exit code."""
        try:
            yield
        except ExperimentErrors as errors:
            self._refuse(errors)
        except RefusedError as error:
            self._fail(str(error), REFUSED, "refused")
        except StoreError as error:
            self._fail(str(error), UNEXPECTED, "failed")
        except PluginError as error:
            self._fail(f"{error}.", REFUSED, "refused")
        except KeyboardInterrupt:
            self._fail("interrupted.", INTERRUPTED, "interrupted")
        except (typer.Exit, typer.BadParameter, BrokenPipeError):
            raise
        except Exception as error:
            text = " ".join(str(error).split()) or "no message"
            if "Cannot allocate memory" in text:  # LLVM, out of memory or of maps of it
                text += "; free memory, or raise vm.max_map_count"
            remedy = "" if self.debug else " (--debug shows where)"
            self._fail(f"unexpected {type(error).__name__}: {text}{remedy}", UNEXPECTED, "failed")

    def refuse(self, message: str) -> NoReturn:
        """End with the exit code of a usage error."""
        self._fail(message, REFUSED, "refused")

    def fail(self, message: str) -> NoReturn:
        """End with the exit code of what could not be foreseen: a full disk, a folder in use."""
        self._fail(message, UNEXPECTED, "failed")

    def interrupted(self, message: str, signal: int, *, at_once: bool = False) -> NoReturn:
        """End as a process that a signal ends; `at_once`: without waiting for what still computes in the background."""
        try:
            if self.silent:
                raise typer.Exit(128 + signal)
            self._fail(message, 128 + signal, "interrupted")
        finally:
            if at_once:
                sys.stdout.flush()
                os._exit(128 + signal)

    def _refuse(self, errors: ExperimentErrors) -> NoReturn:
        if self.debug:
            traceback.print_exc()
        for problem in errors.problems[:_SHOWN]:
            self.error(str(problem))
        count = len(errors.problems)
        shown = f" ({_SHOWN} of them shown)" if count > _SHOWN else ""
        self.error(f"{count} error{'s' if count > 1 else ''}{shown}; nothing was run.")
        self.document({"status": "refused", "problems": [problem.record() for problem in errors.problems]})
        raise typer.Exit(REFUSED)

    def _fail(self, message: str, code: int, status: str) -> NoReturn:
        if self.debug and sys.exc_info()[0] is not None:
            traceback.print_exc()
        self.error(f"flowsim: {printable(message)}")
        self.document({"status": status, "message": message})
        raise typer.Exit(code)


def _print(text: str) -> None:
    """To stdout, now: what stays in a buffer could fail after the exit code has been decided."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # Python flushes once more at its end
        os.close(nowhere)
        print(f"flowsim: stdout cannot be written: {error.strerror}", file=sys.stderr, flush=True)
        raise typer.Exit(UNEXPECTED) from None


def keep_stdout_for_data() -> None:
    """From now on, what libraries in other languages print goes to stderr."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(own, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
