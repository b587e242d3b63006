"""Names of a model's trained arrays in an experiment file."""

import difflib
from collections.abc import Sequence


def names_parameters(name: str, known: Sequence[str]) -> bool:
    """Is it the name of an array, or of a block of them?"""
    return any(full == name or full.startswith(f"{name}.") for full in known)


def meant(name: str, known: Sequence[str]) -> str:
    """What may have been meant by an unknown name."""
    by_lower = {full.lower(): full for full in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    if near:
        return f"did you mean {by_lower[near[0]]!r}?"
    return f"they are {', '.join(known[:12])}{', …' * (len(known) > 12)}"
