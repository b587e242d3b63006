"""Independent evidence: the same flow by another solver at a tighter tolerance."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .. import _tree, probes, reductions, solvers
from .._jit import fast_compile
from .._types import Parameters, Scalar
from ..invariants import Law, drift, find, of_words
from ..models import traits
from ..moment import Lift
from ..simulation import Carry, History, Plan, Prepared, Settings, run
from ..solver_names import BY_KIND, SYMMETRIC
from ..solvers import Method
from .bounds import DRIFT, SAFETY, crossing_bounds, curve_bounds, value_bounds
from .premises import broken_premises, doubts
from .record import Certificate, Uncertified
from .words import frozen_directions, homogeneity

_ROUNDING = 4.0  # units of rounding per √step that the floor allows for

_SAME_KIND = 32.0  # how much tighter a second integration by the same method is: its error is a small share then
_JUMPS = 4.0  # times as tight where steps begin anew at every jump of the velocity: few steps, whose errors vary more
_RELUCTANCE = 4.0  # how many times cheaper it has to be than by another method
_SHORT = 3e6  # numbers computed by vector fields: a tenth of a second, less than compiling it well takes
_STEPS = 4  # times the limit of the first: 10 to 32 times tighter, a method takes up to three times its steps


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
    floor = rounding_floor(size, int(carry.steps), travelled, dtype=carry.step.dtype).item()
    withheld = broken_premises(prepared, result, there)
    crossings = {name: record.crossings for name, record in result.crossings.items()}
    others = {name: [c for c in there.crossings if c.event == name] for name in crossings}
    return Certificate(
        relative_error=math.inf if withheld else float(SAFETY * _over(apart, travelled) + floor),
        energy_identity=result.energy_identity,
        invariants=_invariants(prepared.plan, result),
        crossing_errors=crossing_bounds(crossings, others, steps=int(carry.steps), withheld=bool(withheld)),
        probe_errors=curve_bounds(result.trajectory.values, there.rows, floor, withheld=bool(withheld)),
        rounding_floor=float(floor),
        method=certified_method(prepared, again, [switch.kind for switch in there.switches]),
        evaluations=plan.flow.traits.gradients * int(other.evaluations),
        warnings=(*withheld, *doubts(prepared, result, there)),
        withheld=withheld,
        crossing_values=value_bounds(crossings, others),
    )


def _over(length: float, travelled: float) -> float:
    """Relative to the distance travelled. A flow that never moved is exact if the other did not move either."""
    if travelled == 0:
        return 0.0 if length == 0 else math.inf
    return length / travelled


def _times(prepared: Prepared, plan: Plan) -> str:
    ratio = prepared.settings.rtol / float(plan.method.controller.rtol)
    return "the same" if ratio < 1.01 else f"{ratio:.3g} times tighter"


def verifying(prepared: Prepared, result: Uncertified) -> Prepared:
    """The run that verifies another: other solvers, a tighter tolerance, and as far as the run came."""
    again, dtype = second(prepared), prepared.plan.end.high.dtype
    end = again.plan.end if result.status.ok else type(again.plan.end).at(result.status.time, dtype)
    work = result.solver.vector_field_evaluations * _tree.size(prepared.plan.problem.parameters)
    return dataclasses.replace(again, plan=dataclasses.replace(again.plan, end=end, short=work <= _SHORT))


def second(prepared: Prepared) -> Prepared:
    """The same run by other solvers at a tighter tolerance."""
    dtype = prepared.plan.end.high.dtype
    more = _JUMPS if prepared.plan.flow.traits.jumps else 1.0
    method = _verifying_method(prepared.plan.method.kind, prepared.settings, dtype, more)
    compared = tuple(probe for probe in prepared.plan.probes if not probe.name.startswith(DRIFT))
    plan = dataclasses.replace(prepared.plan, method=method, probes=compared)
    stiff = _verifying_stiff(prepared, dtype)
    settings = dataclasses.replace(prepared.settings, max_steps=_STEPS * prepared.settings.max_steps)
    again = dataclasses.replace(prepared, settings=settings, plan=plan, stiff=stiff, reluctance=_RELUCTANCE)
    return _as_gram(again) if prepared.settings.certificate == "gram" else again


def _verifying_stiff(prepared: Prepared, dtype: Any) -> tuple[Method, ...]:
    """The methods of the second integration for where the flow is stiff, in their order of trial.

    A stabilized method cannot finish where the spectrum is too wide for too long. Where only an exponential one can,
    that at a much tighter tolerance is the second integration: its steps and its Krylov spaces are others.
    """
    settings, kinds = prepared.settings, [method.kind for method in prepared.stiff]
    symmetric = [kind for kind in kinds if kind in SYMMETRIC]
    if not symmetric:
        return tuple(_verifying_method(kind, settings, dtype) for kind in kinds)
    again = [_tighter(kind, _SAME_KIND, settings, dtype) for kind in symmetric]
    return (_verifying_method(symmetric[0], settings, dtype), *again)


def _verifying_method(kind: str, settings: Settings, dtype: Any, more: float = 1.0) -> Method:
    info = BY_KIND.get(kind, BY_KIND["tsit5"])  # a solver of a user's own is verified as tsit5 is
    return _tighter(info.certified_by, more * info.certified_tighter, settings, dtype)


def _tighter(kind: str, factor: float, settings: Settings, dtype: Any) -> Method:
    """A method at a tolerance smaller by a factor, as far as the precision allows."""
    # A fixed step has no tolerance to be tightened; its error is large and shows against any adaptive run.
    rtol = settings.rtol if settings.step is None else min(settings.rtol, 1e-8)
    rtol = max(rtol / factor, solvers.smallest_rtol(dtype))
    compensated = solvers.compensates(kind, settings.compensated, dtype)
    return solvers.make(kind, rtol=rtol, atol=settings.atol / factor, dtype=dtype, compensated=compensated)


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


def certified_method(prepared: Prepared, again: Prepared, switches: Sequence[str] = ()) -> str:
    """Where the evidence comes from, in a sentence.

    **Arguments:** `switches`: the methods that took over in the second integration.
    """
    plan = again.plan
    system = "of the Gram system (inner products of words) " if prepared.settings.certificate == "gram" else ""
    kinds = " and ".join(dict.fromkeys([plan.method.kind, *switches]))
    kinds += " (its solves are not counted)" if plan.method.implicit else ""
    return f"second integration {system}by {kinds} at {_times(prepared, plan)} tolerance, distance × {SAFETY:g}"


def _start(plan: Plan) -> Parameters:
    return plan.problem.parameters


def _end(plan: Plan, carry: Carry) -> Parameters:
    return plan.flow.parameters(carry.state.flow)


def _products(plan: Plan, parameters: Parameters) -> Parameters:
    """Inner products of the words: the coordinates in which a run and its Gram system can be compared."""
    model = plan.problem.model(parameters)
    small = reductions.inner_products(model, plan.problem.samples.vocabulary)
    return eqx.filter(small, small.trainable())


@fast_compile
def _lengths(start: Parameters, end: Parameters, other: Parameters) -> tuple[Scalar, Scalar, Scalar]:
    """‖end - start‖, ‖end - other‖ and ‖end‖: one program, as each operation alone would be compiled for itself."""
    travelled, apart = _tree.subtract(end, start), _tree.subtract(end, other)
    return _tree.norm(travelled), _tree.norm(apart), _tree.norm(end)


def rounding_floor(size, steps, travelled, *, dtype: Any):
    """Rounding of a state of norm `size`, one unit a step in random directions, over the distance travelled; of numbers
    or of arrays."""
    drift = _ROUNDING * float(jnp.finfo(dtype).eps) * np.sqrt(np.asarray(steps) + 1.0) * size
    return np.where(np.asarray(travelled) > 0, drift / np.where(np.asarray(travelled) > 0, travelled, 1.0), 0.0)


@fast_compile
def _drifts(laws: tuple[Law, ...], start: Parameters, end: Parameters) -> list[Scalar]:
    return [drift(law, start, end) for law in laws]


def _invariants(plan: Plan, result: Uncertified) -> dict[str, float]:
    start, end = plan.problem.parameters, plan.flow.parameters(result.carry.state.flow)
    declared = _declared(plan, start, end)
    if not plan.flow.traits.conserves:
        return declared
    # The paper's pairs are known; the search for those of other models compiles the risk's gradient anew.
    laws = of_words(start) if plan.problem.is_word_problem else find(plan.problem)
    names = [law.name for law in laws]
    found = dict(zip(names, map(float, _drifts(laws, start, end)), strict=True))
    if plan.problem.is_word_problem and "mlp_value" in names:
        found["homogeneity"] = float(homogeneity(plan.problem, end))
    original = plan.lift.original.model(plan.lift.original.parameters)
    if traits(original).matrices and traits(result.model).matrices:
        found["frozen_directions"] = float(frozen_directions(original, result.model))
    return found | declared


def _declared(plan: Plan, start: Parameters, end: Parameters) -> dict[str, float]:
    """Relative drift of what the user says that the flow conserves, over its largest entry."""
    conserved = plan.lift.original.conserved
    if not (conserved and plan.lift.recoverable):
        return {}
    return {name: float(drift) for name, drift in _declared_drifts(conserved, plan.lift, start, end).items()}


def declared_drifts(
    conserved: tuple[tuple[str, Callable], ...], lift: Lift, start: Parameters, end: Parameters
) -> dict[str, Scalar]:
    """For use inside compiled functions."""
    found = {}
    for name, quantity in conserved:
        before, after = (jnp.asarray(quantity(lift(point))) for point in (start, end))
        size = jnp.maximum(jnp.max(jnp.abs(before)), jnp.max(jnp.abs(after)))
        found[name] = jnp.max(jnp.abs(after - before)) / jnp.maximum(size, jnp.finfo(size.dtype).tiny)
    return found


_declared_drifts = fast_compile(declared_drifts)
