"""What a page carries: a JSON document and its numbers, as text that cannot end a script element."""

import base64
import gzip
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np


class Numbers:
    """float64 arrays behind one another; a document names each by `[first, count]`."""

    def __init__(self):
        self._parts: list[np.ndarray] = []
        self._places: dict[bytes, list[int]] = {}
        self._count = 0

    def add(self, values: np.ndarray) -> list[int]:
        """The place of an array, in C order; equal arrays (the times of many probes) are kept once."""
        flat = np.ascontiguousarray(values, dtype="<f8").ravel()
        key = flat.tobytes()
        if key not in self._places:
            self._places[key] = [self._count, flat.size]
            self._parts.append(flat)
            self._count += flat.size
        return self._places[key]

    def bytes(self) -> bytes:
        return b"".join(part.tobytes() for part in self._parts)


def packed(document: Mapping[str, Any], numbers: Numbers) -> str:
    """Length of the JSON, the JSON, padding to eight bytes, the numbers: compressed, in base64."""
    text = json.dumps(document, allow_nan=False).encode("utf-8")
    head = struct.pack("<Q", len(text)) + text + b" " * (-len(text) % 8)
    return compressed(head + numbers.bytes())


def compressed(content: bytes) -> str:
    """gzip in base64; the same bytes for the same content."""
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode("ascii")
