"""One run by several processes: each of them computes the same, and the first one writes."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from .. import _memory

ADDRESS, NUMBER, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
STEP = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")  # of `srun`


def initialize() -> bool:
    """Join the processes that the environment names, before the first array is made.

    Slurm names those of a step (`srun --ntasks=2 …`); elsewhere JAX_COORDINATOR_ADDRESS (the host of the first process,
    and a port that is free there), JAX_NUM_PROCESSES and JAX_PROCESS_ID (0 for the first) do.

    **Returns:** are there several? Where the environment names none, nothing is done.

    **Raises:** `ValueError` for variables that do not say which process this is; `RuntimeError` for processes that do
    not find each other, or where arrays have been made already.
    """
    if jax.distributed.is_initialized():
        return several()
    named: dict[str, Any] = {}
    if ADDRESS in os.environ:
        number, index = (_count(name) for name in (NUMBER, INDEX))
        if index >= number:
            raise ValueError(f"{INDEX} is {index} of {NUMBER} = {number} processes: they are counted from 0.")
        named = {"coordinator_address": os.environ[ADDRESS], "num_processes": number, "process_id": index}
    elif not (all(name in os.environ for name in STEP) and int(os.environ["SLURM_NTASKS"]) > 1):
        return False
    jax.distributed.initialize(**named)
    # Where memory decides, it has to decide the same for all.
    _memory.bound(-largest(-_memory.available()))
    return several()


def _count(name: str) -> int:
    text = os.environ.get(name, "")
    if not text.isdecimal():
        raise ValueError(f"{name} must be a whole number where {ADDRESS} is set, got {text!r}.")
    return int(text)


def several() -> bool:
    """Is this one of several processes that compute together?"""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def first() -> bool:
    """Is this the process that writes and speaks?"""
    return not several() or jax.process_index() == 0


def largest(number: float | int) -> float:
    """Of what the processes give, which all of them have to do in the same order."""
    return float(np.max(multihost_utils.process_allgather(np.asarray(number)))) if several() else float(number)


@contextlib.contextmanager
def own_folder(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Where this process keeps the files of a run: the first in the folder itself, the others, whose files are the
    same, in a copy of it that is thrown away."""
    if not several():
        yield folder
        return
    with tempfile.TemporaryDirectory() as away:
        mine = folder
        if not first():
            mine = pathlib.Path(away) / folder.name
            if folder.exists():
                shutil.copytree(folder, mine, symlinks=True)
        multihost_utils.sync_global_devices("flowsim: folders")  # nothing is changed before it was copied
        yield mine
