"""From folders to the page."""

import dataclasses
import functools
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray

from .._files import StoreError, write_text
from ..store import load
from .collect import Budget, run_record
from .pack import Numbers, packed
from .page import page
from .sweeps import sweep_record

LARGEST = 6_000_000  # bytes of a page
_OPEN, _MAPS = 4, 6  # panels that are open at first
_FIRST = ("loss", "loss_by_group", "attention_score", "mlp_alignment")


class ExploreError(Exception):
    """The page cannot be made. The message says why, and what to do."""


@dataclasses.dataclass(frozen=True)
class Written:
    """What was written, from how many runs and sweeps, and what was left out."""

    path: Path
    runs: int
    sweeps: int
    notes: tuple[str, ...]


def explore(folders: Sequence[Path | str], out: Path | str | None = None) -> Written:
    """Write `explore.html` over run folders and sweeps, beside the first of them.

    The page is one file that works from disk without a network: every saved probe with its error band, events with
    their exact times, a slider that moves matrices and spectra through time, descent beside the flow, and of a sweep
    the values over its axes. Its numbers are those of `trajectory.nc`, to the last bit; a series longer than 2 000
    times is thinned, and keeps its extremes.

    **Arguments:** `folders`: run folders, finished or not, or sweeps with a `sweep.nc`; `out`: the file.

    **Raises:** `ExploreError` if Plotly is not installed, a folder cannot be shown, or the page would be too large;
    `flowsim.store.StoreError` if the page cannot be written.
    """
    if not folders:
        raise ExploreError("give at least one run folder")
    script = _plotly()
    paths = [Path(folder) for folder in folders]
    target = Path(out) if out is not None else paths[0].resolve().parent / "explore.html"
    sources = [_source(path, name) for path, name in zip(paths, _names(paths), strict=True)]
    budget = Budget()
    while True:
        numbers = Numbers()
        document = _document(sources, target, numbers, budget)
        text = page(_title(sources), packed(document, numbers), script)
        if len(text.encode("utf-8")) <= LARGEST:
            break
        budget = budget.halved()
        if budget.times < 100:
            raise ExploreError(f"{len(paths)} folders do not fit into a page of {LARGEST / 1e6:.0f} MB: give fewer")
    write_text(target, text)
    notes = tuple(note for source in sources for note in source.notes)
    sweeps = sum(source.sweep for source in sources)
    return Written(target, len(sources) - sweeps, sweeps, notes)


@dataclasses.dataclass(frozen=True)
class _Source:
    path: Path
    name: str
    sweep: bool
    dataset: xarray.Dataset
    run: Any
    descents: list[xarray.Dataset]
    notes: tuple[str, ...] = ()


def _source(path: Path, name: str) -> _Source:
    if (path / "sweep.nc").is_file():
        return _Source(path, name, True, _dataset(path / "sweep.nc"), None, [])
    if (path / "members").is_dir() and not (path / "meta.json").is_file():  # no run of many seeds
        raise ExploreError(f"{path} is a sweep without sweep.nc; make it with `flowsim collect {path}`")
    try:
        run = load(path)
        files = (
            file for name in ("descent", "discrete") for file in sorted((path / name).glob("*.nc"))
        )  # old name last
        descents = [_dataset(file) for file in files]
    except StoreError as problem:
        raise ExploreError(str(problem)) from problem
    if not run.dataset.sizes.get("time"):
        raise ExploreError(f"{path} holds no saved time yet")
    return _Source(path, name, False, run.dataset, run, descents, tuple(run.problems))


def _dataset(path: Path) -> xarray.Dataset:
    try:
        with xarray.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    except (OSError, ValueError) as problem:
        raise ExploreError(f"{path}: cannot be read as netCDF ({problem}); it is damaged") from problem


def _names(paths: Sequence[Path]) -> list[str]:
    """A short name for each folder: its last part, with as many before it as it takes to tell them apart."""
    parts = [path.resolve().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ExploreError("a folder is given twice")


def _title(sources: Sequence[_Source]) -> str:
    names = [source.name for source in sources]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _document(sources: Sequence[_Source], target: Path, numbers: Numbers, budget: Budget) -> dict[str, Any]:
    runs, sweeps = [], []
    for source in sources:
        if source.sweep:
            where = os.path.relpath(source.path.resolve(), target.resolve().parent).replace(os.sep, "/")
            try:
                sweeps.append(sweep_record(source.name, source.dataset, where, numbers, budget))
            except ValueError as problem:
                raise ExploreError(f"{source.path}: {problem}; run `flowsim collect` again") from problem
        else:
            runs.append(run_record(source.name, source.run, source.descents, numbers, budget))
    known = list(dict.fromkeys(name for run in runs for name in run["series"]))
    probes = sorted(known, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    maps = [name for name in probes if any(len(run["series"].get(name, {}).get("dims", ())) > 1 for run in runs)]
    return {
        "runs": runs,
        "sweeps": sweeps,
        "probes": probes,
        "open": probes[:_OPEN],
        "maps": maps[:_MAPS],
        "x": _x(sources),
    }


def _x(sources: Sequence[_Source]) -> str:
    """`linear` where all times were saved in equal steps."""
    for source in sources:
        if not source.sweep:
            times = source.dataset["time"].values
            steps = times[times > 0][1:] - times[times > 0][:-1]
            if steps.size < 2 or steps.max() > 1.5 * steps.min():
                return "log"
    return "linear"


@functools.lru_cache(maxsize=1)
def _plotly() -> str:
    """The plotting script of the installed Plotly, read without importing it."""
    try:
        found = importlib.util.find_spec("plotly")
    except ValueError:  # a module that was kept from being imported
        found = None
    places = found.submodule_search_locations if found is not None else None
    path = Path(next(iter(places))) / "package_data" / "plotly.min.js" if places else None
    if path is None or not path.is_file():
        raise ExploreError("the page needs Plotly, which is not installed: python -m pip install 'plotly>=6'")
    return path.read_text("utf-8")
