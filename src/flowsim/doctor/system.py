"""Versions, caches, disk, memory and clusters: what can be seen without a device."""

import importlib.metadata
import os
import pathlib
import platform
import shutil
import sys

from packaging.requirements import Requirement
from packaging.version import Version

from .. import cache
from .._version import DISTRIBUTION, __version__
from .finding import Finding

TESTED = {  # the newest version that the whole test suite passed on
    "jax": "0.10.1", "diffrax": "0.7.2", "equinox": "0.13.8", "optimistix": "0.1.0", "optax": "0.2.8", "numpy": "2.4.6",
    "scipy": "1.17.1", "matplotlib": "3.11.2", "xarray": "2026.9.0", "pydantic": "2.14.4", "typer": "0.29.2",
}  # fmt: skip
_LITTLE_DISK, _LITTLE_MEMORY = 2e9, 2e9  # bytes
_MAPS_NEEDED = 65_530  # memory mappings: compiled programs take about a thousand each
_JAX_VARIABLE = "JAX_COMPILATION_CACHE_DIR"
_CLUSTERS = {"Slurm": "sbatch", "Dask": "dask-scheduler"}


def flowsim_and_python() -> Finding:
    """Which flowsim, and which Python."""
    return Finding("flowsim", "ok", f"{__version__} on Python {platform.python_version()} ({sys.executable})")


def versions() -> Finding:
    """Installed versions against what flowsim requires, and against what was tested."""
    wrong, beyond, listed, needed, tested = [], [], [], [], []
    for text in _requirements():
        requirement = Requirement(text)
        if requirement.marker is not None:
            continue  # of an extra
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            needed.append(f"'{requirement.name}{requirement.specifier}'")
            continue
        listed.append(f"{requirement.name} {found}")
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found}, needed {requirement.specifier}")
            needed.append(f"'{requirement.name}{requirement.specifier}'")
        elif requirement.name in TESTED and Version(found) > Version(TESTED[requirement.name]):
            beyond.append(f"{requirement.name} {found} (tested up to {TESTED[requirement.name]})")
            tested.append(f"'{requirement.name}<={TESTED[requirement.name]}'")
    if not listed and not wrong:
        return Finding("versions", "note", "flowsim runs from its source, not installed", "python -m pip install .")
    if wrong:
        return Finding("versions", "error", "; ".join(wrong), f"python -m pip install {' '.join(needed)}")
    if beyond:
        remedy = f"If something fails: python -m pip install {' '.join(tested)}"
        return Finding("versions", "note", "newer than tested: " + "; ".join(beyond), remedy)
    return Finding("versions", "ok", ", ".join(listed))


def _requirements() -> list[str]:
    """What the installed distribution of this package requires, under its name or that of its first versions."""
    for name in (DISTRIBUTION, "flowsim"):
        try:
            return importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
    return []


def compilation_cache() -> Finding:
    """Where compiled programs are kept, and how much of them there is."""
    import jax

    name, theirs = "compilation cache", jax.config.jax_compilation_cache_dir
    if theirs:
        return _jax_cache(pathlib.Path(theirs))
    root = cache.place()
    if root is None:
        remedy = f"Unset {cache.VARIABLE}: the second run of a kind then starts almost without compiling."
        return Finding(name, "note", f"off ({cache.VARIABLE}={os.environ[cache.VARIABLE]})", remedy)
    try:
        cache.opened(root)
    except OSError as error:
        return Finding(name, "warning", str(error), f"Set {cache.VARIABLE} to a folder of yours.")
    used = cache.usage(root)
    text = f"{root}: {used.programs} programs, {used.bytes / 1e6:.0f} of {cache.SIZE / 1e6:.0f} MB"
    return Finding(name, "ok", text)


def _jax_cache(folder: pathlib.Path) -> Finding:
    files = [file for file in folder.rglob("*") if file.is_file()] if folder.is_dir() else []
    size = sum(file.stat().st_size for file in files)
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        remedy = f"Set {_JAX_VARIABLE} to a folder of yours, or unset it."
        return Finding("compilation cache", "warning", f"{folder} cannot be written", remedy)
    text = f"{folder}: {len(files)} files, {size / 1e6:.0f} MB ({_JAX_VARIABLE})"
    return Finding("compilation cache", "ok", text)


def free_disk() -> Finding:
    """Free space where runs are written."""
    free = shutil.disk_usage(".").free
    text = f"{free / 1e9:.1f} GB free here"
    remedy = "Runs with many saved matrices need more: write elsewhere with --out." if free < _LITTLE_DISK else ""
    return Finding("disk", "warning" if remedy else "ok", text, remedy)


def memory() -> Finding:
    """Free memory, and how many programs a process can hold."""
    try:
        lines = pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        maps = int(pathlib.Path("/proc/sys/vm/max_map_count").read_text(encoding="ascii"))
    except OSError:
        remedy = "Watch it with the system's own tools; evaluation.samples_at_once makes a run smaller."
        return Finding("memory", "note", "not known on this system", remedy)
    sizes = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines if line.endswith("kB")}
    free = sizes.get("MemAvailable", 0)
    text = f"{free / 1e9:.1f} GB of {sizes.get('MemTotal', 0) / 1e9:.1f} GB available, {maps} memory mappings a process"
    if free < _LITTLE_MEMORY:
        return Finding("memory", "warning", text, "Close other programs, or set evaluation.samples_at_once.")
    if maps < _MAPS_NEEDED:
        remedy = f"Many problems in one process need sysctl vm.max_map_count={_MAPS_NEEDED}."
        return Finding("memory", "warning", text, remedy)
    return Finding("memory", "ok", text)


def clusters() -> Finding:
    """Which clusters `flowsim sweep --on` could use from here."""
    found = [f"{name} ({path})" for name, command in _CLUSTERS.items() if (path := shutil.which(command))]
    if found:
        return Finding("clusters", "ok", ", ".join(found))
    remedy = f"For Slurm, work where sbatch is; for Dask: python -m pip install '{DISTRIBUTION}[dask]'"
    return Finding("clusters", "note", "none: sweeps run on this machine alone", remedy)


LOOKS = (flowsim_and_python, versions, compilation_cache, free_disk, memory, clusters)
