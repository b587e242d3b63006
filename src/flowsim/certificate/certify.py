"""Independent evidence: the same flow by another solver at a tighter tolerance."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, cast

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.ndimage import maximum_filter1d

from .. import _tree, probes, reductions, solvers
from .._jit import light
from .._types import Parameters, Scalar
from ..invariants import Product, drift, find_products, of_words
from ..models import CooccurrenceTransformer
from ..records import Status
from ..simulation import Carry, History, Plan, Prepared, Settings, run
from ..solver_names import BY_KIND
from ..solvers import Method
from .record import Certificate, Uncertified
from .words import frozen_directions, homogeneity

_TIGHT = 1e-10  # below this tolerance eighth order is cheaper than fifth
# The second integration has an error of its own, and errors of two runs may partly cancel. On 200 random problems
# (`benchmarks/certificates.py`) twice the distance between the two covered the true error in 95 % of the cases, and
# fell short of it by less than a factor 2 in the others.
_SAFETY = 4.0
_NEIGHBOURS = 5  # saved times over which the distance of two curves is taken at its largest
_ROUNDING = 4.0  # units of rounding per √step that the floor allows for

_SHORT = 3e7  # numbers computed by vector fields: a second or two at most, less than compiling it well


def certify(prepared: Prepared, result: Uncertified, *, verification: History | None = None) -> Certificate:
    """Bound the error of a result by a second integration (see `docs/how-exact.md`).

    **Arguments:** `prepared`: the run; its settings say which evidence is wanted. `result`: what it gave.
    `verification`: the history of `verifying(prepared, result)` if that was run already, in a batch.

    **Returns:** the certificate; `result.certified(certificate)` is the result with its error bands.
    """
    gram, carry = prepared.settings.certificate == "gram", result.carry
    again = verifying(prepared, result)
    plan = again.plan
    there = run(again) if verification is None else verification
    other = cast(Carry, there.carry)
    points = [_start(prepared.plan), _end(prepared.plan, carry), _end(plan, other)]
    if gram:
        points = [_products(prepared.plan, points[0]), _products(prepared.plan, points[1]), points[2]]
    travelled, apart, size = map(float, _lengths(*points))
    floor = _rounding_floor(size, carry, travelled)
    apart = _over(apart, travelled) if _ended(there).ok else math.inf
    return Certificate(
        relative_error=float(_SAFETY * apart + floor),
        energy_identity=result.energy_identity,
        invariants=_invariants(prepared.plan, result),
        event_errors=_event_errors(result, there),
        probe_errors=_probe_errors(result, there, floor),
        rounding_floor=float(floor),
        method=_method(prepared, again, gram, bool(there.switches)),
        evaluations=plan.flow.traits.gradients * int(other.evaluations),
        warnings=_warnings(result, there),
    )


def _over(length: float, travelled: float) -> float:
    """Relative to the distance travelled. A flow that never moved is exact if the other did not move either."""
    if travelled == 0:
        return 0.0 if length == 0 else math.inf
    return length / travelled


def _ended(history: History) -> Status:
    return cast(Status, history.status)


def _times(prepared: Prepared, plan: Plan) -> str:
    ratio = prepared.settings.rtol / float(plan.method.controller.rtol)
    return "the same" if ratio < 1.01 else f"{ratio:.3g} times tighter"


def verifying(prepared: Prepared, result: Uncertified) -> Prepared:
    """The run that verifies another: other solvers, a tighter tolerance, and as far as the run came."""
    plan, dtype = prepared.plan, prepared.plan.end.high.dtype
    end = plan.end if result.status.ok else type(plan.end).at(result.status.time, dtype)
    stiff = None if prepared.stiff is None else _verifying_method(prepared.stiff.kind, prepared.settings, dtype)
    method = _verifying_method(plan.method.kind, prepared.settings, dtype)
    work = result.solver.vector_field_evaluations * _tree.size(plan.problem.parameters)
    plan = dataclasses.replace(plan, method=method, end=end, short=work <= _SHORT)
    again = dataclasses.replace(prepared, plan=plan, stiff=stiff)
    return _as_gram(again) if prepared.settings.certificate == "gram" else again


def _verifying_method(kind: str, settings: Settings, dtype: Any) -> Method:
    info = BY_KIND.get(kind, BY_KIND["tsit5"])  # a solver of a user's own is verified as tsit5 is
    other, factor = info.certified_by, info.certified_tighter
    if other in ("dopri5", "tsit5") and settings.rtol <= _TIGHT:
        other, factor = "dop853", 4.0
    # A fixed step has no tolerance to be tightened; its error is large and shows against any adaptive run.
    rtol = settings.rtol if settings.step is None else min(settings.rtol, 1e-8)
    rtol = max(rtol / factor, solvers.smallest_rtol(dtype))
    return solvers.make(other, rtol=rtol, atol=settings.atol / factor, dtype=dtype)


def _as_gram(prepared: Prepared) -> Prepared:
    """The same run as its Gram system: another ODE, so that an error in either vector field shows as well."""
    reduction = reductions.reduce(prepared.plan.lift.original, "gram")
    plan = dataclasses.replace(
        prepared.plan,
        problem=reduction.problem,
        lift=dataclasses.replace(prepared.plan.lift, lift=None, recoverable=False),
        probes=probes.standard(reduction.problem),
    )
    return dataclasses.replace(prepared, plan=plan, reduction=reduction)


def _method(prepared: Prepared, again: Prepared, gram: bool, switched: bool) -> str:
    plan = again.plan
    system = "of the Gram system (inner products of words) " if gram else ""
    tolerance = _times(prepared, plan)
    kinds = f"{plan.method.kind} and {again.stiff.kind}" if switched and again.stiff is not None else plan.method.kind
    return f"second integration {system}by {kinds} at {tolerance} tolerance, distance × {_SAFETY:g}"


def _start(plan: Plan) -> Parameters:
    return plan.problem.parameters


def _end(plan: Plan, carry: Carry) -> Parameters:
    return plan.flow.parameters(carry.state.flow)


def _products(plan: Plan, parameters: Parameters) -> Parameters:
    """Inner products of the words: the coordinates in which a run and its Gram system can be compared."""
    model = plan.problem.model(parameters)
    small = reductions.inner_products(model, plan.problem.samples.vocabulary)
    return eqx.filter(small, small.trainable())


@light
def _lengths(start: Parameters, end: Parameters, other: Parameters) -> tuple[Scalar, Scalar, Scalar]:
    """‖end - start‖, ‖end - other‖ and ‖end‖: one program, as each operation alone would be compiled for itself."""
    travelled, apart = _tree.subtract(end, start), _tree.subtract(end, other)
    return _tree.norm(travelled), _tree.norm(apart), _tree.norm(end)


def _rounding_floor(size: float, carry: Carry, travelled: float) -> float:
    """Rounding of a state of norm `size`, one unit a step in random directions, over the distance travelled."""
    eps = float(jnp.finfo(carry.step.dtype).eps)
    return _over(_ROUNDING * eps * math.sqrt(int(carry.steps) + 1) * size, travelled) if travelled else 0.0


def _crossings(there: History, name: str) -> list[float]:
    return [crossing.time for crossing in there.crossings if crossing.event == name]


def _event_errors(result: Uncertified, verification: History) -> dict[str, float | None]:
    eps = np.finfo(float).eps
    errors: dict[str, float | None] = {}
    for name, record in result.crossings.items():
        there = _crossings(verification, name)
        if record.time is None or not there:
            errors[name] = None
        else:
            errors[name] = float(_SAFETY * abs(record.time - there[0]) + 8 * eps * max(record.time, there[0]))
    return errors


def _probe_errors(result: Uncertified, verification: History, floor: float) -> Mapping[str, np.ndarray]:
    here, there = result.trajectory, verification.rows
    common = min(len(here.time), len(verification.times))
    errors = {}
    for name, values in here.values.items():
        other = there.get(name)
        if other is None or name.startswith("invariant_"):
            continue  # a drift is an error already
        error = np.full(values.shape, np.finfo(values.dtype).max, values.dtype)
        apart = np.abs(values[:common] - other[:common])
        # Two curves may cross, which says nothing of their errors: a time answers for its neighbours.
        error[:common] = _SAFETY * maximum_filter1d(apart, size=_NEIGHBOURS, axis=0, mode="nearest")
        scale = np.max(np.abs(values), axis=0, keepdims=True)
        errors[name] = error + max(floor, 8 * np.finfo(values.dtype).eps) * scale if common == len(values) else error
    return errors


def _warnings(result: Uncertified, verification: History) -> tuple[str, ...]:
    found = []
    status = _ended(verification)
    if not status.ok:
        found.append(f"the second integration ended early ({status.message}): no error bound")
    for name, record in result.crossings.items():
        there = _crossings(verification, name)
        if len(record.crossings) != len(there):
            found.append(
                f"the two integrations see event {name} {len(record.crossings)} and "
                f"{len(there)} times: it is close to not happening, or rounding moves it"
            )
        if any(not crossing.refined or not crossing.resolved for crossing in record.crossings):
            found.append(f"event {name}: a step was not resolved by the scan; a crossing may be missing")
    return tuple(found)


@light
def _drifts(products: tuple[Product, ...], start: Parameters, end: Parameters) -> list[Scalar]:
    return [drift(product, start, end) for product in products]


def _invariants(plan: Plan, result: Uncertified) -> dict[str, float]:
    if not plan.flow.traits.conserves:
        return {}
    start, end = plan.problem.parameters, plan.flow.parameters(result.carry.state.flow)
    # The paper's pairs are known; the search for those of other models compiles the risk's gradient anew.
    products = of_words(start) if plan.problem.is_word_problem else find_products(plan.problem)
    names = [product.name for product in products]
    found = dict(zip(names, map(float, _drifts(products, start, end)), strict=True))
    if plan.problem.is_word_problem and any(product.name == "mlp_value" for product in products):
        found["homogeneity"] = float(homogeneity(plan.problem, end))
    original = plan.lift.original.model(plan.lift.original.parameters)
    if isinstance(original, CooccurrenceTransformer) and isinstance(result.model, CooccurrenceTransformer):
        found["frozen_directions"] = float(frozen_directions(original, result.model))
    return found
