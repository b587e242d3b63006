"""What a value of a user's, or of a file, is."""

from typing import Any, TypeGuard


def is_number(value: Any) -> TypeGuard[int | float]:
    """Is it a real number? To Python a truth value is one as well, to a user it is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: Any) -> TypeGuard[int]:
    """Is it a whole number that is written as one?"""
    return isinstance(value, int) and not isinstance(value, bool)
