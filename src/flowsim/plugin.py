"""Your own tasks, models, losses, starts, probes, events and flows in experiment files.

A module of yours registers them by decorator,

    import flowsim

    @flowsim.plugin.model("gated_sum")
    def gated_sum(*, task, key, width: int = 8):
        return GatedSum(task.vocabulary, width, key=key)

and `flowsim run experiment.yaml --plugin module.py` lets the experiment say
`model: {kind: plugin, use: gated_sum, arguments: {width: 16}}`. Nothing is ever loaded without that flag. In Python no
registration is needed. Imports nothing: `flowsim check` stays fast where no plugin is given.
"""

import importlib.util
import pathlib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

SECTIONS = ("task", "model", "loss", "init", "probe", "event", "flow")
_registered: dict[str, dict[str, Callable]] = {section: {} for section in SECTIONS}
_sources: list[pathlib.Path] = []

Function = TypeVar("Function", bound=Callable)


class PluginError(ValueError):
    """A plugin that cannot be loaded, or registers what it must not."""


def _decorator(section: str, name: str) -> Callable[[Function], Function]:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name):
        raise PluginError(f"the {section} name {name!r} must be letters, digits and `_`, and start with a letter")

    def register(function: Function) -> Function:
        if name in _registered[section]:
            raise PluginError(f"two plugins register a {section} named {name!r}: give one of them another name")
        _registered[section][name] = function
        return function

    return register


def task(name: str) -> Callable[[Function], Function]:
    """Register a function `(*, key, **arguments) -> flowsim.tasks.Task`."""
    return _decorator("task", name)


def model(name: str) -> Callable[[Function], Function]:
    """Register a function `(*, task, key, **arguments) -> model`, an unbatched Equinox module."""
    return _decorator("model", name)


def loss(name: str) -> Callable[[Function], Function]:
    """Register a per-example loss `(prediction, label) -> scalar`."""
    return _decorator("loss", name)


def init(name: str) -> Callable[[Function], Function]:
    """Register a function `(**arguments) -> initialiser`, an initialiser being `(model, *, key) -> model`."""
    return _decorator("init", name)


def probe(name: str) -> Callable[[Function], Function]:
    """Register a probe `(model) -> array`, which is saved under this name."""
    return _decorator("probe", name)


def event(name: str) -> Callable[[Function], Function]:
    """Register an event's function `(t, model) -> number`, as for `flowsim.events.crossing`."""
    return _decorator("event", name)


def flow(name: str) -> Callable[[Function], Function]:
    """Register a function `(**arguments) -> flowsim.flows.AbstractFlow`."""
    return _decorator("flow", name)


def names(section: str) -> tuple[str, ...]:
    """What is registered for a section."""
    return tuple(_registered[section])


def get(section: str, name: str) -> Callable[..., Any]:
    """A registered function. **Raises:** `PluginError` for a name that is not registered."""
    if name not in _registered[section]:
        known = ", ".join(_registered[section]) or "none"
        raise PluginError(f"no plugin registers a {section} named {name!r}; registered: {known}")
    return _registered[section][name]


def load(paths: Sequence[pathlib.Path]) -> None:
    """Run plugin modules, each once, in order.

    **Raises:** `PluginError` with the file and what went wrong in it.
    """
    for path in paths:
        path = path.resolve()
        if path in _sources:
            continue
        name = f"flowsim_plugin_{path.stem}"
        found = importlib.util.spec_from_file_location(name, path) if path.is_file() else None
        if found is None or found.loader is None:
            raise PluginError(f"{path} is no Python file: give --plugin the path of a module")
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module  # where dataclasses and pickling by name look for it
        try:
            found.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise PluginError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
        _sources.append(path)


def sources() -> tuple[pathlib.Path, ...]:
    """The plugin files that were loaded: part of what a run depends on."""
    return tuple(_sources)
