"""Files that are either whole or absent, whatever kills the process."""

import contextlib
import errno
import json
import os
import pathlib
import threading
from collections.abc import Callable
from typing import Any


class StoreError(Exception):
    """A run folder that cannot be written or read; the message names the file and what to do."""


def write(path: pathlib.Path, fill: Callable[[pathlib.Path], None]) -> None:
    """Let `fill` write a temporary file beside `path`, then move it there.

    Temporary file in the same folder, fsync, rename, fsync of the folder: after a crash at any point the old file or
    the new one is there, never a part.

    **Raises:** `StoreError` if the disk is full, the folder has vanished, or writing is not allowed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        fill(temporary)
        _sync(temporary, os.O_RDWR)
        os.replace(temporary, path)
        _sync(path.parent, os.O_RDONLY)
    except OSError as error:
        raise StoreError(_explain(path, error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: pathlib.Path, data: bytes) -> None:
    """`data` as a whole file."""
    write(path, lambda temporary: _dump(temporary, data))


def write_dataset(path: pathlib.Path, dataset: Any) -> None:
    """An `xarray.Dataset` as a whole netCDF file."""
    write(path, lambda temporary: dataset.to_netcdf(temporary, engine="h5netcdf"))


def write_text(path: pathlib.Path, text: str) -> None:
    """`text` in UTF-8 as a whole file."""
    write_bytes(path, text.encode("utf8", "replace"))


def write_json(path: pathlib.Path, content: Any) -> None:
    """`content` as JSON, keys in the order given; a number that JSON has no word for is an error, not `NaN`."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def _dump(path: pathlib.Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def _sync(path: pathlib.Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_REASONS = {
    errno.ENOSPC: "the disk is full: free some space, then go on with `flowsim run --resume`",
    errno.EDQUOT: "the disk quota is used up: free some space, then go on with `flowsim run --resume`",
    errno.EROFS: "the file system is read-only: choose another folder with --out",
    errno.EACCES: "permission denied: choose another folder with --out",
    errno.EPERM: "permission denied: choose another folder with --out",
    errno.ENOENT: "the folder has vanished: was it moved or deleted while the run was going on?",
}


def _explain(path: pathlib.Path, error: OSError) -> str:
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return f"{path}: cannot be written: {reason}"
