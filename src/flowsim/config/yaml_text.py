"""The text of an experiment file: small, clean UTF-8, or refused."""

import codecs
import os
import pathlib
import re

from .problems import Place, refusal

MAX_BYTES = 1 << 20
MAX_LINE = 200_000  # the parser takes quadratic time over a single token

# What YAML 1.2 allows in a file, less the BOM and the "next line" controls: tab, line ends, and printable text.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029]")
_BOMS = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"),
         (codecs.BOM_UTF16_BE, "UTF-16"), (codecs.BOM_UTF8, "a byte-order mark"))  # fmt: skip


def read_text(path: str | os.PathLike) -> str:
    """The text of an experiment file.

    **Raises:** `ExperimentErrors` if it cannot be read, is too large, or is not clean UTF-8.
    """
    path = pathlib.Path(path)
    origin = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise refusal(Place(origin), f"cannot be read: {reason}.") from None
    return decode(raw, origin)


def decode(raw: bytes, origin: str) -> str:
    """Bytes of an experiment file as text. Raises as `read_text` does."""
    if len(raw) > MAX_BYTES:
        raise refusal(
            Place(origin), f"is larger than {MAX_BYTES} bytes: an experiment is a page, data go in .npz files."
        )
    for bom, name in _BOMS:
        if raw.startswith(bom):
            raise refusal(Place(origin, 1, 1), f"starts with {name}; save the file as plain UTF-8.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        place = _place_at(origin, before + "\n", len(before))
        raise refusal(place, f"is not UTF-8: byte 0x{raw[error.start]:02x}; save the file as UTF-8.") from None
    bad = _FORBIDDEN.search(text)
    if bad:
        place = _place_at(origin, text, bad.start())
        raise refusal(place, f"control character U+{ord(bad.group()):04X} is not allowed; remove it.")
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > MAX_LINE:
            raise refusal(Place(origin, number, 1), f"a line of {len(line)} characters; at most {MAX_LINE} are read.")
    return text


def _place_at(origin: str, text: str, index: int) -> Place:
    start = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1
    end = min((i for i in (text.find("\n", index), text.find("\r", index)) if i >= 0), default=len(text))
    line = len(text[:index].replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return Place(origin, line, index - start + 1, text[start:end])
