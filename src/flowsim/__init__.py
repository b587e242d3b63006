"""flowsim: the exact gradient flow of transformers, with an error certificate and exact events.

Names load when they are first used (PEP 562): the command line reads and checks an experiment without JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

_MODULES = (
    "adapt", "cache", "certificate", "claims", "compare", "config", "descent", "distributed", "ensemble", "events",
    "flows", "init", "loggers", "losses", "models", "plot", "plugin", "probes", "reductions", "saving",
    "sensitivities", "simulation", "solvers", "sweep", "tasks",
)  # fmt: skip
_NAMES = {
    "Problem": "problem",
    "Result": "result",
    "claim": "claims",
    "influence": "sensitivities",
    "kind": "config",
    "langevin": "_langevin",
    "load": "_load",
    "load_sweep": "sweep",
    "sensitivity": "sensitivities",
    "simulate": "_simulate",
    "verify": "_verify",
}

if TYPE_CHECKING:
    from . import (  # noqa: F401
        adapt,
        cache,
        certificate,
        claims,
        compare,
        config,
        descent,
        distributed,
        ensemble,
        events,
        flows,
        init,
        loggers,
        losses,
        models,
        plot,
        plugin,
        probes,
        reductions,
        saving,
        sensitivities,
        simulation,
        solvers,
        sweep,
        tasks,
    )
    from ._langevin import langevin
    from ._load import load
    from ._simulate import simulate
    from ._verify import verify
    from .claims import claim
    from .config import kind
    from .problem import Problem
    from .result import Result
    from .sensitivities import influence, sensitivity
    from .sweep import load_sweep


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)
    elif name in _MODULES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_MODULES, *_NAMES, "__version__"])


__all__ = [
    "Problem",
    "Result",
    "__version__",
    "claim",
    "influence",
    "kind",
    "langevin",
    "load",
    "load_sweep",
    "sensitivity",
    "simulate",
    "verify",
]
