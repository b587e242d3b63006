"""What a plain YAML 1.2 scalar means (core schema). `1e-3` is a number, `yes` is text."""

import math
import re

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = frozenset((".nan", ".NaN", ".NAN"))
_DIGITS = 400  # no number of an experiment is longer; int() of a very long one takes quadratic time

Scalar = None | bool | int | float | str


def meaning(text: str) -> Scalar:
    """The value of a plain scalar.

    **Raises:** `ValueError` for a number that float64 cannot hold.
    """
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if text in _NAN:
        return math.nan
    if text[0] not in "+-.0123456789":
        return text
    return _number(text)


def _number(text: str) -> Scalar:
    if _INFINITE.fullmatch(text):
        return -math.inf if text[0] == "-" else math.inf
    integer = _INTEGER.fullmatch(text)
    if not (integer or _FLOAT.fullmatch(text) or _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text)):
        return text
    if len(text) > _DIGITS:
        raise ValueError(f"a number of {len(text)} characters; at most {_DIGITS} are read")
    if integer:
        return int(text)
    if text[1:2] in ("o", "x"):
        return int(text, 0)
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is beyond the largest float64, about 1.8e308")
    return value
