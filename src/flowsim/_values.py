"""What a value of a user's, or of a file, is."""

from typing import Any, TypeGuard


def is_number(value: Any) -> TypeGuard[int | float]:
    """Is it a real number? To Python a truth value is one as well, to a user it is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: Any) -> TypeGuard[int]:
    """Is it a whole number that is written as one?"""
    return isinstance(value, int) and not isinstance(value, bool)


def as_list(value: Any) -> list[Any]:
    """The entries of a list or a tuple; anything else stands for a list of one."""
    return list(value) if isinstance(value, list | tuple) else [value]


def brief(value: Any, digits: int = 6) -> str:
    """A value in a label or a table: a float to some figures, anything else as it is."""
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
