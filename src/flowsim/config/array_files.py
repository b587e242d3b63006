"""Arrays from `.npz` and `.safetensors` files of unknown origin: no pickle, and nothing is read before its declared
shape and size are known to be what is wanted.
"""

import dataclasses
import io
import json
import math
import os
import pathlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from .problems import shortened

LARGEST_ARRAY = 1 << 34  # bytes: 16 GiB
_LONGEST_HEADER = 10_000  # bytes of one array's header; NumPy's own limit
_LONGEST_INDEX = 1 << 20  # bytes of a safetensors file's header
_MOST_MEMBERS = 10_000
_SAFETENSORS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1",
    "BOOL": "|b1",
}  # fmt: skip


class ArrayErrors(ValueError):
    """A file that does not hold what is wanted; `.messages` says everything that is wrong with it."""

    def __init__(self, messages: list[str]):
        self.messages = messages
        Exception.__init__(self, "; ".join(messages))


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file declares of one array. `where`: the zip member, or the offset in the file."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    where: str | int

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


def headers(path: str | os.PathLike) -> dict[str, Header]:
    """What each array of a file is, without reading any.

    **Raises:** `ArrayErrors` if the file cannot be read or declares what cannot be.
    """
    with _opened(path) as file:
        return _safetensors_headers(file) if _is_safetensors(path) else _npz_headers(file)


def read(path: str | os.PathLike, header: Header) -> np.ndarray:
    """One array. Raises as `headers` does."""
    with _opened(path) as file:
        if isinstance(header.where, int):
            file.seek(header.where)
            data = file.read(header.size)
        else:
            with zipfile.ZipFile(file) as archive, archive.open(header.where) as member:
                _npy_header(member, header.where)
                data = member.read(header.size)
                if member.read(1):
                    raise ArrayErrors([f"{header.where} holds more than its header declares"])
        if len(data) != header.size:
            raise ArrayErrors([f"the file is cut off: {header.size} bytes are declared, {len(data)} are there"])
    order = "F" if header.fortran else "C"
    return np.frombuffer(data, header.dtype).reshape(header.shape, order=order)


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """The file, with every way in which it can be broken as one kind of error."""
    path = pathlib.Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ArrayErrors([f"{path} is not a file"])
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise ArrayErrors([f"{path} does not exist"]) from None
    except OSError as error:
        raise ArrayErrors([f"{path} cannot be read: {error.strerror or error}"]) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error) as error:
        # zipfile reports encryption as RuntimeError and unknown compression as NotImplementedError
        raise ArrayErrors([f"{path} is damaged or not an array file: {error}"]) from None
    except ArrayErrors:
        raise
    except (ValueError, OverflowError, MemoryError) as error:
        raise ArrayErrors([f"{path} is not an array file: {error}"]) from None


def _is_safetensors(path: str | os.PathLike) -> bool:
    return pathlib.Path(path).suffix == ".safetensors"


def _npz_headers(file: BinaryIO) -> dict[str, Header]:
    found = {}
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise ArrayErrors([f"holds {len(members)} arrays; at most {_MOST_MEMBERS} are read"])
        for info in members:
            name = info.filename.removesuffix(".npy")
            if name in found:
                raise ArrayErrors([f"holds two arrays named {name!r}"])
            with archive.open(info) as member:
                header = _npy_header(member, info.filename)
                if header.size != info.file_size - member.tell():
                    raise ArrayErrors([f"{name!r} declares {header.shape}, which its size in the file contradicts"])
            found[name] = header
    return found


def _npy_header(member, name: str) -> Header:
    """The header of a `.npy` member, of bounded length; leaves `member` at the data."""
    start = member.read(8)
    if start[:6] != b"\x93NUMPY" or start[6] not in (1, 2):
        raise ArrayErrors([f"{name!r} is not a NumPy array of format 1 or 2"])
    width = 2 if start[6] == 1 else 4
    raw_length = member.read(width)
    length = int.from_bytes(raw_length, "little")
    if length > _LONGEST_HEADER:
        raise ArrayErrors([f"{name!r} has a header of {length} bytes; at most {_LONGEST_HEADER} are read"])
    rest = io.BytesIO(raw_length + member.read(length))
    reader = np.lib.format.read_array_header_1_0 if start[6] == 1 else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = reader(rest)
    except Exception as error:  # NumPy parses the header as a Python literal: SyntaxError, TokenError, RecursionError …
        raise ArrayErrors([f"{name!r} has a malformed header: {shortened(error)}"]) from None
    if dtype.kind not in "fiub":
        raise ArrayErrors([f"{name!r} holds {dtype}; only plain numbers are read, never objects"])
    return _bounded(Header(tuple(int(n) for n in shape), dtype, bool(fortran), name), name)


def _bounded(header: Header, name: str) -> Header:
    if min(header.shape, default=0) < 0 or header.size > LARGEST_ARRAY:
        raise ArrayErrors([f"{name!r} declares {header.shape}; at most {LARGEST_ARRAY} bytes are read"])
    return header


def _safetensors_headers(file: BinaryIO) -> dict[str, Header]:
    total = file.seek(0, os.SEEK_END)
    file.seek(0)
    (length,) = struct.unpack("<Q", file.read(8))
    if length > min(_LONGEST_INDEX, total):
        raise ArrayErrors([f"declares a header of {length} bytes; it is damaged or no safetensors file"])
    try:
        index = json.loads(file.read(length))
        entries = {name: entry for name, entry in index.items() if name != "__metadata__"}
        return {name: _tensor(name, entry, 8 + length, total) for name, entry in entries.items()}
    except (KeyError, TypeError, AttributeError, RecursionError):
        raise ArrayErrors(["is not a safetensors file: its header is malformed"]) from None


def _tensor(name: str, entry: dict, base: int, total: int) -> Header:
    if entry["dtype"] not in _SAFETENSORS:
        raise ArrayErrors([f"{name!r} holds {entry['dtype']!r}; known are {', '.join(_SAFETENSORS)}"])
    start, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if not all(type(n) is int and n >= 0 for n in (*shape, start, end)):
        raise ArrayErrors(["is not a safetensors file: its header is malformed"])
    header = _bounded(Header(shape, np.dtype(_SAFETENSORS[entry["dtype"]]), False, base + start), name)
    if end - start != header.size or base + end > total:
        raise ArrayErrors([f"{name!r} declares {shape}, which its size in the file contradicts"])
    return header
