"""Plain data that JSON can hold to the last bit."""

from typing import Any

import numpy as np


def written_plain(tree: Any) -> Any:
    """Plain data that JSON can hold to the last bit: it has no infinity and no NaN."""
    return _map(tree, _written)


def read_plain(tree: Any) -> Any:
    """The data of `written_plain`."""
    return _map(tree, _read)


def _map(tree: Any, change) -> Any:
    match tree:
        case dict():
            return change({key: _map(value, change) for key, value in tree.items()})
        case list() | tuple():
            return [_map(value, change) for value in tree]
        case _:
            return change(tree)


def _written(value: Any) -> Any:
    return {"float": repr(value)} if isinstance(value, float) and not np.isfinite(value) else value


def _read(value: Any) -> Any:
    return float(value["float"]) if isinstance(value, dict) and set(value) == {"float"} else value
