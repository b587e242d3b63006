"""How exact derivatives are: run and derivatives once more, by another solver at a tighter tolerance."""

import math
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .. import _tree
from .._jit import fast_compile
from ..certificate import certify, verifying
from ..result import Result
from ..simulation import Carry, History, Prepared, run
from .measure import RECORD
from .record import SensitivityCertificate

_SAFETY = 4.0  # as of the ordinary certificate; see `benchmarks/sensitivities.py`
_ROUNDING = 4.0


def certified(prepared: Prepared, result: Result) -> SensitivityCertificate:
    """Bound the errors of a run and of its derivatives."""
    there = run(verifying(prepared, result))
    mine, other = result.carry, cast(Carry, there.carry)
    ordinary = certify(prepared, result, verification=there)
    apart, size = _distances(mine.state.flow.tangents, other.state.flow.tangents)
    eps = float(jnp.finfo(mine.step.dtype).eps)
    floor = _ROUNDING * eps * math.sqrt(int(mine.steps) + 1)
    errors = np.where(size > 0, _SAFETY * np.asarray(apart) / np.where(size > 0, size, 1.0) + floor, 0.0)
    derivative_errors = {name: _of_event(result, there, name, eps) for name in result.crossings}
    if ordinary.withheld:
        errors, derivative_errors = np.full_like(errors, np.inf), dict.fromkeys(derivative_errors)
    return SensitivityCertificate(float(np.max(errors)), errors, derivative_errors, ordinary, ordinary.warnings)


def _of_event(result: Result, there: History, name: str, eps: float) -> Any:
    """Bound on the error of dT/dε at the first crossing."""
    here = result.crossings[name].crossings
    again = [crossing for crossing in there.crossings if crossing.event == name]
    if not here or not again:
        return None
    mine, other = (np.asarray(crossing.values[RECORD]) for crossing in (here[0], again[0]))
    return _SAFETY * np.abs(mine - other) + 8 * eps * np.abs(mine)


@fast_compile
def _distances(mine: PyTree, other: PyTree) -> tuple[Float[Array, "directions"], Float[Array, "directions"]]:
    """Of every direction: ‖δ - δ'‖ and ‖δ‖."""
    return jax.vmap(lambda x, y: (_tree.norm(_tree.subtract(x, y)), _tree.norm(x)))(mine, other)
