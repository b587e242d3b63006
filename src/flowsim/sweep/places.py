"""`--on`: a word becomes a place."""

import dataclasses
from collections.abc import Sequence

from .folder import Sweep
from .place import AbstractPlace, PlaceError

PLACES = ("local", "slurm", "dask")


@dataclasses.dataclass(frozen=True)
class Options:
    """How a place is used. `jobs`: members at once; `per_task`: members of a task of a queue; `slurm`: of `sbatch`."""

    jobs: int | None = None
    per_task: int | None = None
    slurm: tuple[str, ...] = ()


def place(on: str, sweep: Sweep, options: Options) -> AbstractPlace:
    """The place that `on` names: local, slurm, dask or dask=ADDRESS. Only the sweep's path is looked at.

    **Raises:** `PlaceError` if it is none, or cannot be used.
    """
    kind, _, address = on.partition("=")
    if kind not in PLACES or (address and kind != "dask"):
        raise PlaceError(f"--on is local, slurm, dask, or dask=ADDRESS of a scheduler, not {on!r}")
    if kind != "slurm" and (options.slurm or options.per_task):
        raise PlaceError("--slurm and --per-task are for --on slurm")
    if kind == "local":
        from .local import Local

        return Local(sweep, options.jobs)
    if kind == "slurm":
        from .slurm import Slurm

        return Slurm(sweep, options)
    from .dask import Dask

    return Dask(sweep, address or None, options.jobs)


def check_slurm_options(given: Sequence[str]) -> tuple[str, ...]:
    """`key=value` as `sbatch` options. **Raises:** `PlaceError`."""
    ours = {"array": "the array is the sweep's own; --jobs limits how many tasks run at once", "wrap": "it is ours"}
    found = []
    for option in given:
        key, equals, value = option.removeprefix("--").partition("=")
        if not key.replace("-", "").isalnum():
            raise PlaceError(f"--slurm takes key=value of sbatch's long options, as in partition=gpu, not {option!r}")
        if key in ours:
            raise PlaceError(f"--slurm {key} cannot be given: {ours[key]}")
        found.append(f"--{key}={value}" if equals else f"--{key}")
    return tuple(found)
