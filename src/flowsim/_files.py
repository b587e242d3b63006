"""Files that are either whole or absent, whatever kills the process and however full the disk is."""

import contextlib
import errno
import io
import json
import os
import pathlib
import re
import stat
import threading
from collections.abc import Callable
from typing import Any

_TEMPORARY = re.compile(r"\..+\.\d+\.\d+\.tmp")  # as `write_bytes` names them


class StoreError(Exception):
    """A folder or file that cannot be written or read; the message names it and what to do."""


class RefusedError(StoreError):
    """A folder or file that was given and cannot be used as it is: bad input, where `StoreError` is bad luck."""


def write_bytes(path: pathlib.Path, data: bytes) -> None:
    """`data` as a whole file.

    Temporary file in the same folder, fsync, rename, fsync of the folder: after a crash at any point the old file or
    the new one is there, never a part. Every kind of file is made in memory first, because the libraries that write
    netCDF and safetensors do not survive a disk that fills up under them.

    **Raises:** `StoreError` if the disk is full, the folder has vanished, or writing is not allowed.
    """
    write(path, lambda temporary: _dump(temporary, data))


def write(path: pathlib.Path, fill: Callable[[pathlib.Path], None]) -> None:
    """As `write_bytes`, of a file that is too large for memory: `fill` makes it at the path that it is given."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        fill(temporary)
        _sync(temporary, os.O_RDWR)
        os.replace(temporary, path)
        _sync(path.parent, os.O_RDONLY)
    except OSError as error:
        raise StoreError(explain(path, error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_dataset(path: pathlib.Path, dataset: Any) -> None:
    """An `xarray.Dataset` as a netCDF file."""
    write_bytes(path, netcdf(dataset))


def write_text(path: pathlib.Path, text: str) -> None:
    """`text` in UTF-8."""
    write_bytes(path, text.encode("utf8", "replace"))


def write_json(path: pathlib.Path, content: Any) -> None:
    """`content` as JSON, keys in the order given; a number that JSON has no word for is an error, not `NaN`."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def make_folder(path: pathlib.Path) -> None:
    """A folder inside a run folder. A symbolic link is refused: what is written must stay in the run folder.

    **Raises:** `StoreError`.
    """
    if path.is_symlink():
        raise RefusedError(f"{path}: is a symbolic link, which flowsim does not write through; remove it")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(explain(path, error)) from error


def refuse_irregular(path: pathlib.Path) -> None:
    """**Raises:** `RefusedError` for a pipe, a device or a folder in place of a file: opening it could block."""
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise RefusedError(f"{path}: cannot be read: {error.strerror}") from error
    if not regular:
        raise RefusedError(f"{path}: is not a regular file; move it away")


def is_temporary(name: str) -> bool:
    """Is this the name of a file that a killed process was writing?"""
    return _TEMPORARY.fullmatch(name) is not None


def netcdf(dataset: Any) -> bytes:
    """An `xarray.Dataset` as the bytes of a netCDF 4 file."""
    import h5netcdf  # kept out of `import flowsim`, which loads JAX's family only
    from xarray.backends import H5NetCDFStore

    memory = io.BytesIO()
    with h5netcdf.File(memory, "w") as file:
        dataset.dump_to_store(H5NetCDFStore(file))
    return memory.getvalue()


def explain(path: pathlib.Path, error: OSError) -> str:
    """What the operating system refused, and the remedy."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return f"{path}: cannot be written: {reason}"


def _dump(path: pathlib.Path, data: bytes) -> None:
    with open(path, "xb") as file:  # follows no link; its mode follows the umask
        file.write(data)


def _sync(path: pathlib.Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_AGAIN = "free some space, then resume with --resume (or run the same command again)"
_OTHER = "choose another folder with --out"
_REASONS = {
    errno.ENOSPC: f"the disk is full: {_AGAIN}",
    errno.EDQUOT: f"the disk quota is used up: {_AGAIN}",
    errno.EROFS: f"the file system is read-only: {_OTHER}",
    errno.EACCES: f"permission denied: {_OTHER}",
    errno.EPERM: f"permission denied: {_OTHER}",
    errno.ENAMETOOLONG: f"the name is too long: {_OTHER}",
    errno.ENOTDIR: f"a part of the path is not a folder: {_OTHER}",
    errno.EEXIST: f"there is a file of that name: {_OTHER}",
    errno.ENOENT: "the folder has vanished: was it moved or deleted during the run?",
}
