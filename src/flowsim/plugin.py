"""Loading a user's modules, which register kinds by `@flowsim.kind(section, name)`.

`flowsim run experiment.yaml --plugin module.py` lets the experiment use them. Nothing is ever loaded without that flag.
A plugin may import modules that lie beside it: `from .other import name`.

The decorators here (`@flowsim.plugin.model("x")` …) are those of earlier versions: they register a *function*, whose
keyword arguments become the kind's fields. They are still read; new modules register a class by `flowsim.kind`.
"""

import hashlib
import importlib.util
import inspect
import pathlib
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import create_model

from .config.kind import Kind, KindError, kind
from .config.sections import OldSpelling

_sources: dict[pathlib.Path, str] = {}  # -> the module's name

Function = TypeVar("Function", bound=Callable)


class PluginError(ValueError):
    """A plugin that cannot be loaded, or registers what it must not."""


def load(paths: Sequence[pathlib.Path]) -> None:
    """Run plugin modules, each once, in order.

    **Raises:** `PluginError` with the file and what went wrong in it.
    """
    for path in paths:
        path = path.resolve()
        if path in _sources:
            continue
        name = f"flowsim_plugin_{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
        beside = [str(path.parent)]
        found = importlib.util.spec_from_file_location(name, path, submodule_search_locations=beside)
        found = found if path.is_file() else None
        if found is None or found.loader is None:
            raise PluginError(f"{path} is not a Python file: give --plugin the path of a module")
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module  # where dataclasses and pickling by name look for it
        try:
            found.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise PluginError(f"{path}{_line(error, path)} cannot be loaded: {_said(error)}") from error
        _sources[path] = name


def sources() -> tuple[pathlib.Path, ...]:
    """The plugin files that were loaded."""
    return tuple(_sources)


def files() -> tuple[pathlib.Path, ...]:
    """The plugin files, and those that they imported from beside them: part of what a run depends on."""
    inside = tuple(f"{name}." for name in _sources.values())
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(inside)] if inside else []
    return (*_sources, *(pathlib.Path(module.__file__) for module in modules if module.__file__))


def _line(error: BaseException, path: pathlib.Path) -> str:
    """`:7`, the innermost line of the file that the error came from."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f":{error.lineno}"
    lines, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f":{lines[-1]}" if lines else ""


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, KindError | PluginError) else f"{type(error).__name__}: {text}"


def _decorator(section: str, name: str, wraps: Callable[[Callable, dict, Any, str], Any]) -> Callable:
    """A function of an earlier version's form as a kind."""

    registers = kind(section, name)

    def register(function: Function) -> Function:
        warnings.warn(
            f"@flowsim.plugin.{section} is the old form; register a class by @flowsim.kind({section!r}, {name!r})",
            OldSpelling,
            stacklevel=2,
        )
        fields: Any = {} if wraps is _itself else _fields(function)

        def build(self: Kind, context: Any) -> Any:
            return wraps(function, self.model_dump(include=set(fields)), context, section)

        # `kind` fixes the class's name and description; the function's own say what it is
        made = create_model(
            function.__name__, __base__=Kind, __doc__=function.__doc__, __module__=function.__module__, **fields
        )
        made.build = build
        registers(made)
        return function

    return register


def _fields(function: Callable) -> dict[str, tuple[Any, Any]]:
    """The arguments of a function that an experiment gives, with their types and defaults."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in ("task", "key", "model") or parameter.kind is parameter.VAR_KEYWORD:
            continue
        given = parameter.annotation
        found[name] = (
            Any if given is parameter.empty or isinstance(given, str) else given,
            ... if parameter.default is parameter.empty else parameter.default,
        )
    return found


def _called(function: Callable, arguments: dict, context: Any, section: str) -> Any:
    """The function's result; `task` and `key` are given where it takes them."""
    wanted = inspect.signature(function).parameters
    if section == "init" and "model" in wanted:  # it is an initializer itself, not one that makes one
        return lambda model, *, key: function(model, key=key, **arguments)
    given = {"task": context.task} if "task" in wanted else {}
    given |= {"key": context.key(section)} if "key" in wanted else {}
    return function(**given, **arguments)


def _itself(function: Callable, arguments: dict, context: Any, section: str) -> Any:
    return function


def task(name: str) -> Callable[[Function], Function]:
    """Register a function `(*, key, **arguments) -> flowsim.tasks.Task`."""
    return _decorator("task", name, _called)


def model(name: str) -> Callable[[Function], Function]:
    """Register a function `(*, task, key, **arguments) -> model`, an unbatched Equinox module."""
    return _decorator("model", name, _called)


def loss(name: str) -> Callable[[Function], Function]:
    """Register a per-example loss `(prediction, label) -> scalar`."""
    return _decorator("loss", name, _itself)


def init(name: str) -> Callable[[Function], Function]:
    """Register an initializer `(model, *, key, **arguments) -> model`, or a function `(**arguments)` that makes one."""
    return _decorator("init", name, _called)


def probe(name: str) -> Callable[[Function], Function]:
    """Register a probe `(model) -> array`, which is saved under this name."""
    return _decorator("probe", name, _itself)


def event(name: str) -> Callable[[Function], Function]:
    """Register an event's function `(t, model) -> number`, as for `flowsim.events.crossing`."""
    return _decorator("event", name, _itself)


def flow(name: str) -> Callable[[Function], Function]:
    """Register a function `(**arguments) -> flowsim.flows.AbstractFlow`."""
    return _decorator("flow", name, _called)
