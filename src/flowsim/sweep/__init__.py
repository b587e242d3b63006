"""Sweeps: one experiment over axes, each member an ordinary run folder, on this machine, Slurm or Dask.

Nothing here imports JAX but the process that runs members: a cluster's login node expands, submits and watches.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .expand import Member, expand
from .folder import Sweep, SweepError
from .state import MemberState, States, states

if TYPE_CHECKING:
    from .load import load_sweep


def __getattr__(name: str) -> Any:
    if name == "load_sweep":  # xarray, which only readers need
        return importlib.import_module(".load", __name__).load_sweep
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Member", "MemberState", "States", "Sweep", "SweepError", "expand", "load_sweep", "states"]
