"""A member that is run by itself."""

from collections.abc import Callable

from ..result import Result, assemble
from ..simulation import Prepared, run
from .members import Member


def run_alone(seed: int, own: Prepared, *, certified: bool, put: Callable[[int, Result], None] | None) -> Member:
    """The member to its end, with its certificate if it is to be `certified`.

    **Arguments:** `put`: called with the seed and the result.
    """
    result = assemble(own, run(own))
    if certified:
        result = result.certified(result.certificate)
    if put is not None:
        put(seed, result)
    return Member.of(seed, result, certified=certified)
