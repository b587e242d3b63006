"""Tolerances that give the error that is asked for."""

import dataclasses
from collections.abc import Callable

from .. import _checks, _tree, solvers
from ..simulation import Prepared, with_tolerance
from .result import Result

_SAFETY = 0.3  # of the target that the next tolerance aims at
_LEAST, _MOST = 1e-4, 0.3  # by which a tolerance is multiplied from one try to the next
_TRIES = 6


def tightened(prepared: Prepared, target: float, integrate: Callable[[Prepared], Result]) -> Result:
    """The certified result of the loosest tolerances, from those of `prepared` on, that keep the error below `target`.

    The error of a run is about proportional to its tolerance. Rounding is a floor under it: where that is reached
    first, the result is the best that was found, and its certificate says so.

    **Arguments:** `target`: for `certificate.relative_error`, > 0. `integrate`: makes the result of a prepared run.

    **Raises:** `ValueError` for a target that is not > 0, or for steps of fixed size.
    """
    _checks.positive("target_error", target)
    if prepared.settings.step is not None:
        raise ValueError("target_error needs steps sized by tolerances: leave `step` out.")
    floor = solvers.smallest_rtol(_tree.dtype(prepared.plan.problem.parameters))
    best: Result | None = None
    for _ in range(_TRIES):
        result = integrate(prepared)
        error = result.certificate.relative_error
        if best is None or error < best.certificate.relative_error:
            best = result
        if error <= target or not result.status.ok:
            return result.certified(result.certificate)
        rtol, atol = prepared.settings.rtol, prepared.settings.atol
        if rtol <= floor:
            break
        factor = min(max(_SAFETY * target / error, _LEAST), _MOST)
        smaller = max(rtol * factor, floor)
        prepared = with_tolerance(prepared, smaller, atol * smaller / rtol)
    assert best is not None
    return best.certified(_with_warning(best, target))


def _with_warning(best: Result, target: float):
    found = best.certificate
    why = (
        f"rounding alone accounts for {found.rounding_floor:.1e}"
        if found.rounding_floor > 0.1 * target
        else (f"rtol {best.solver.rtol:.1e} is the tightest that was tried")
    )
    said = f"target_error {target:g} was not reached: the bound is {found.relative_error:.1e}, and {why}"
    return dataclasses.replace(found, warnings=(*found.warnings, said))
