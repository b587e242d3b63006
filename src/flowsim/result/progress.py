"""Who watches a run from Python."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from .. import _checks
from .._progress import Lines, Progress, watched
from ..simulation import AbstractConsumer, Chunk, Follow, ForEach

_AFTER = 1.0  # seconds: a quick run shows nothing


@contextlib.contextmanager
def following(asked: Callable[[Chunk], Any] | bool | None) -> Iterator[tuple[AbstractConsumer, ...]]:
    """The consumers that show a run's progress, while the block integrates it.

    **Arguments:** `asked`: a function of the user's; None for a line where a person watches, on a terminal or in a
    notebook; True for one anywhere, False for none.

    **Raises:** `TypeError` for anything else.
    """
    if not (asked is None or isinstance(asked, bool) or callable(asked)):
        raise TypeError(f"progress must be a function, True or False, got {_checks.described(asked)}.")
    if callable(asked):
        yield (ForEach(asked),)
        return
    display = None if asked is False else watched()
    display = Lines if asked and display is None else display
    if display is None:
        yield ()
        return
    with Progress(display, after=_AFTER) as shown:
        yield (Follow(shown.update),)
