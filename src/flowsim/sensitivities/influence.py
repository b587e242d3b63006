"""Influence of the samples: derivatives of an event's time or of a final value by every sample's weight."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from .. import _tree, flows
from ..events import Event
from ..problem import Problem
from ..simulation import Prepared, Settings, run
from ..simulation import prepare as prepare_run
from ..simulation.arguments import as_flow, as_problem
from ..solvers import smallest_rtol, tableau
from .adjoint import backwards, starts
from .family import refuse_jumps
from .quantity import AbstractQuantity, LastStep, WeightedField, quantity
from .record import Influence
from .steps import record

_SAFETY, _TIGHTER = 4.0, 16.0
_CLEARLY = 0.5  # of the tolerance: two passes that are closer say little of each other's error


def influence(
    problem: Problem,
    *,
    t1: float,
    of: str | Event | Callable[[PyTree], Array] = "loss",
    solver: str = "auto",
    rtol: float | None = None,
    atol: float | None = None,
    step: float | None = None,
    flow: flows.AbstractFlow | None = None,
    reduction: str = "auto",
    certificate: bool = True,
    max_steps: int = 1_000_000,
) -> Influence:
    """How every sample's weight moves one number of a run, by one backward pass through its steps.

        risk(θ, w) = (1/n) Σ w_i ℓ_i(θ),    influence_i = dφ/dw_i

    with φ the final loss, the first time of an event, or a function of the final model. The exact adjoint of the steps
    that the run took; for n samples it costs about three times the run, whatever n. `flowsim.sensitivity` gives the
    same derivatives along a few directions, and of the whole path.

    **Arguments:** `of`: `"loss"`, an event or its name (its first crossing), or `function(model)` of the final model,
    such as a loss on other samples. `certificate`: bound the errors by a second pass at a tolerance 16 times tighter
    (where the precision allows none that is twice as tight, 16 times as loose), or half the fixed `step`, which doubles
    the cost. The others as of `flowsim.simulate`; `solver` must be an explicit
    Runge-Kutta method.

    **Raises:** `ValueError` for a problem without samples, and for solvers without an adjoint; `TypeError` for an
    argument of another kind. A run that fails
    numerically raises `RuntimeError` with its status: there is nothing to differentiate.

    **Reference:** Koh, Liang (2017), Understanding black-box predictions via influence functions (at a minimum);
    Hara, Nitanda, Maehara (2019), Data cleansing for models trained with SGD (through the training).
    """
    asked = quantity(of)
    settings = Settings(t1, solver, rtol, atol, step, max_steps)
    adjoint = Adjoint(problem, settings, as_flow(flow), reduction, certificate=certificate)
    return adjoint.influence(asked, *adjoint.first_time(asked))


class Adjoint:
    """The steps of a run, recorded once, and the derivatives of as many of its numbers as are asked for.

    What is late in the run is best asked for first: for an event the run is recorded as far as that only.

    **Arguments:** as of `influence`. **Raises:** as `influence` does.
    """

    def __init__(
        self, problem: Problem, settings: Settings, flow: flows.AbstractFlow, reduction: str, *, certificate: bool
    ):
        refuse_jumps(flow)
        self._problem, self._flow, self._reduction = _weighted(as_problem(problem)), flow, reduction
        self._passes: dict[int, _Pass] = {}
        self._ready = self._prepared(settings)
        settings, dtype = self._ready.settings, self._ready.plan.end.high.dtype
        self._settings = [settings, _other(settings, dtype)] if certificate else [settings]
        tableau(self._ready.plan.method, np.float64)  # refuses what has no adjoint

    def first_time(self, asked: AbstractQuantity) -> tuple[float | None, int]:
        """When an event first happens, by an ordinary run, and the gradients that it took; None of no event."""
        event = asked.event
        if event is None:
            return None, 0
        prepared = self._prepared(self._settings[0], events=(dataclasses.replace(event, terminal=True),))
        history = run(dataclasses.replace(prepared, stiff=()))
        carry: Any = history.carry
        if history.status is None or not history.status.ok:
            raise RuntimeError(f"the run has no end to differentiate: {history.status}")
        found = [crossing.time for crossing in history.crossings if crossing.event == event.name]
        return (found[0] if found else None), int(carry.evaluations) + history.event_evaluations

    def influence(self, asked: AbstractQuantity, time: float | None = None, spent: int = 0) -> Influence:
        """Derivatives of one number by every sample's weight.

        **Arguments:** `time`: of an event, when it first happens, None if it does not; `spent`: gradients that this
        was found with.
        """
        groups, names = self._problem.samples.groups, tuple(self._problem.samples.group_names)
        known = (None, ()) if groups is None else (np.asarray(groups), names)
        if asked.event is not None and time is None:
            return Influence(asked.name, None, None, None, spent, 0, *known)
        until = self._settings[0].t1 if time is None else time
        found = [self._pass(i, until).back(asked, time) for i in range(len(self._settings))]
        first, derivatives, errors, withheld = found[0], found[0].derivatives, None, ""
        kink = max(self._passes[i].kink for i in range(len(self._settings)))  # both must have met one
        if len(found) > 1 and kink <= until:
            withheld = f"the velocity jumps on the path, first at t = {kink:.4g} (a kink, such as a ReLU's), and the "
            withheld += "derivatives there with it: no error bound"
        elif len(found) > 1:
            floor = 64 * np.finfo(derivatives.dtype).eps * np.max(np.abs(derivatives))
            errors = _SAFETY * np.abs(derivatives - found[1].derivatives) + floor
        ran = spent + self._passes[0].evaluations
        return Influence(asked.name, first.value, derivatives, errors, ran, first.evaluations, *known, withheld)

    def _pass(self, number: int, until: float) -> "_Pass":
        """The recorded steps, at least as far as `until`."""
        if number not in self._passes or self._passes[number].until < until:
            prepared = self._prepared(self._settings[number]) if number else self._ready
            self._passes[number] = _Pass(prepared, self._flow, until)
        return self._passes[number]

    def _prepared(self, settings: Settings, events: tuple[Event, ...] = ()) -> Prepared:
        return prepare_run(
            self._problem, settings, events=events, flow=self._flow, reduction=self._reduction,
            save_times=[0.0, settings.t1],
        )  # fmt: skip


def check_adjoint(problem: Problem, flow: flows.AbstractFlow, prepared: Prepared) -> None:
    """Can the steps of this run be gone through backwards?

    **Raises:** `ValueError` if not: no samples, stages, followed kinks, or steps that are not those of an explicit
    Runge-Kutta method.
    """
    _ = problem.samples
    refuse_jumps(flow)
    tableau(prepared.plan.method, np.float64)


class _Found(NamedTuple):
    value: float
    derivatives: np.ndarray
    evaluations: int


class _Pass:
    """A recorded run, which can be gone through backwards."""

    def __init__(self, prepared: Prepared, flow: flows.AbstractFlow, until: float):
        plan = prepared.plan
        self.until, self._steps = until, record(prepared, until)
        self._lift, self._w, state = plan.lift, plan.problem.weights, self._steps.carry.state.flow
        self._field = WeightedField(plan.problem, flow, jax.flatten_util.ravel_pytree(state)[1])
        self._tableau = tableau(plan.method, self._steps.carry.step.dtype)
        self._gradients = flow.traits.gradients * len(self._tableau.b)
        self.evaluations = int(self._steps.carry.evaluations)
        rough = self._steps.carry.roughness
        self.kink = float(rough.first) if int(rough.kinks) else math.inf  # when the first was met

    def back(self, asked: AbstractQuantity, time: float | None) -> _Found:
        """The number that is asked for, and its derivatives by the weights."""
        end = self._steps.end if time is None else self._steps.at(time)
        block = self._steps.blocks[end.block]
        t, y = block.times[end.number], starts(self._field, self._tableau, block, self._w)[end.number]
        step = LastStep(self._field, self._tableau, self._lift, t, y)
        size = asked.settled(step, jnp.asarray(end.size, y.dtype))
        value, at_end = asked.end(step, size)
        back = backwards(self._field, self._tableau, self._steps, self._w, end._replace(size=float(size)), at_end)
        through = self._steps.blocks[: end.block + 1]
        counts = [(end.number + 1 if block is through[-1] else block.count, block.whole) for block in through]
        replays = sum(count * (3 if whole else 4) for count, whole in counts)
        return _Found(float(value), np.asarray(back.w), self._gradients * replays)


def _other(settings: Settings, dtype: Any) -> Settings:
    """For the second pass: smaller tolerances, or half the step of a fixed one.

    Where the precision allows no tolerance that is clearly tighter, a looser one: its pass is the farther from the
    exact derivative, so that the distance of the two bounds the error of the first all the more.
    """
    if settings.step is not None:
        return dataclasses.replace(settings, step=settings.step / 2)
    rtol, atol = cast(float, settings.rtol), cast(float, settings.atol)
    factor = max(1 / _TIGHTER, smallest_rtol(dtype) / rtol)
    factor = factor if factor <= _CLEARLY else _TIGHTER
    return dataclasses.replace(settings, rtol=factor * rtol, atol=factor * atol)


def _weighted(problem: Problem) -> Problem:
    """The problem with its weights as an array."""
    if problem.weights is not None:
        return problem
    ones = jnp.ones(problem.samples.samples, _tree.dtype(problem.parameters))
    return eqx.tree_at(lambda p: p.weights, problem, ones, is_leaf=lambda x: x is None)
