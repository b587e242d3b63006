"""A folder of compiled programs that many processes share without locks."""

import contextlib
import hashlib
import logging
import os
import pathlib
import tempfile
import time

from .place import SUFFIX, WRITING, entries

SIZE = 1_000_000_000  # bytes: some hundred problems of different shapes
_KEPT = 0.8  # of the size, once more than it was there
_DIGEST = 32  # bytes
_ABANDONED = 3600.0  # seconds after which a file that is still being written is taken for one of a killed process


class Programs:
    """Compiled programs by JAX's key, with the methods of its own store.

    JAX's own store writes in place and never looks at an entry again: a process that is killed while it writes leaves
    a torn entry for good, which warns and is compiled anew by every later process, and one without its time stamp
    stops its eviction. Here an entry appears whole (by a rename) and begins with the digest of its key and content;
    what does not agree with its digest is removed and compiled again.
    """

    def __init__(self, folder: pathlib.Path, size: int = SIZE):
        self._path = folder  # JAX logs it
        self._root, self._limit = folder.parent, size
        self._used: int | None = None  # bytes below the root; counted before the first is written
        self._writes = True

    def get(self, key: str) -> bytes | None:
        file = self._file(key)
        try:
            found = file.read_bytes()
        except OSError:
            return None
        digest, content = found[:_DIGEST], found[_DIGEST:]
        with contextlib.suppress(OSError):
            if digest != _digest(key, content):
                file.unlink(missing_ok=True)
                return None
            os.utime(file)  # the least recently used go first
        return content

    def put(self, key: str, value: bytes) -> None:
        if not self._writes or len(value) + _DIGEST > self._limit:
            return
        try:
            self._make_room(len(value) + _DIGEST)
            self._write(self._file(key), _digest(key, value) + value)
        except OSError as error:  # a full disk, a folder that was removed: every program would say the same
            self._writes = False
            logging.getLogger("flowsim").info("compiled programs are not kept in %s: %s", self._path, error)

    def _file(self, key: str) -> pathlib.Path:
        return self._path / (hashlib.sha256(key.encode()).hexdigest()[:40] + SUFFIX)

    def _write(self, file: pathlib.Path, content: bytes) -> None:
        number, name = tempfile.mkstemp(suffix=WRITING, dir=self._path)  # of mode 0600
        try:
            with os.fdopen(number, "wb") as stream:
                stream.write(content)
            os.replace(name, file)
        except BaseException:  # a signal too
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise

    def _make_room(self, wanted: int) -> None:
        """Remove the least recently used programs, of any version, where one more would be too much."""
        if self._used is None:
            self._used = self._counted()
        self._used += wanted
        if self._used <= self._limit:
            return
        oldest = sorted(((found.st_mtime, found.st_size, file) for file, found in entries(self._root)))
        self._used = wanted + sum(size for _, size, _ in oldest)  # other processes write and remove too
        for _, size, file in oldest:
            if self._used <= _KEPT * self._limit:
                break
            file.unlink(missing_ok=True)
            self._used -= size

    def _counted(self) -> int:
        for file, found in entries(self._root, WRITING):
            if time.time() - found.st_mtime > _ABANDONED:
                file.unlink(missing_ok=True)
        return sum(found.st_size for _, found in entries(self._root))


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST, key=hashlib.sha256(key.encode()).digest()).digest()
