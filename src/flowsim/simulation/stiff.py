"""When a flow turns stiff: from an explicit method to one for stiff flows, between those, and back.

Where an explicit method's step times the largest curvature λ is at the method's stability limit, stability sizes the
step, not accuracy, and its evaluations for a unit of time (its pace) are proportional to λ. Whether another method does
better then is measured: it is tried for some steps, and keeps the flow if its pace is the lower one. A trial is bounded
by a share of all evaluations spent before it, and one that did not pay is not repeated until its waste is a small share
of the evaluations spent since: what trials cost is a bounded share of the run, however often the flow turns. All is
decided from the carry, so a resumed run decides the same.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..solver_names import SYMMETRIC
from .advance import FIRST_LOOK, restart
from .carry import Carry, Choice, Clock, Code, Plan
from .stiffness import STIFF, curvature, evaluations_left

CHECK = 100  # tried steps between two looks, at the most
_TRIAL = 4  # tried steps between two looks at a method that is being tried
_WORTH = 400  # evaluations to come below which no trial pays
_WORTH_FIRST = 100  # the same for the first of a run: what the explicit method takes is known to be too much
_WORTH_SECOND = 2000  # the same, where nothing promises that it does
_INTERVAL = 0.5  # stability interval of a stabilized method over the square of its stages, about
_PROMISING = 0.7  # promised pace over the present one below which a stabilized method is worth a trial
_LEAST, _SHARE = 120, 0.1  # evaluations of a trial: so many, or this share of what was spent before it
_LONGEST = 4.0  # growth of the window from a look to the next, at most
_WASTE = 0.05  # share of the evaluations since a trial that its waste has to fall to before the next
_LATER = 1.3  # times what was spent, before another method for stiff flows is tried beside one that does well
_IMPROVES = 0.6  # a trial goes on while the pace falls by this factor or more from look to look


class Methods(NamedTuple):
    """One run by several methods: plans that differ in nothing else.

    **Fields:** `stiff`: those for where the flow is stiff, in the order in which they are tried; `reluctance`: how many
    times cheaper than its predecessor a later one of them has to be to take over.
    """

    explicit: Plan
    stiff: tuple[Plan, ...] = ()
    reluctance: float = 1.0

    @property
    def plans(self) -> tuple[Plan, ...]:
        """All of them, by number."""
        return (self.explicit, *self.stiff)

    def number(self, plan: Plan) -> int:
        """Of one of the plans."""
        return next(k for k, own in enumerate(self.plans) if own is plan)

    def named(self, kind: str | None) -> Plan:
        """The plan by its method's name, the explicit one by default."""
        return next((plan for plan in self.stiff if plan.method.kind == kind), self.explicit)


class _Window(NamedTuple):
    """What was measured between the last look and now.

    **Fields:** `number`: of the method; `now`: time; `spent`: evaluations since the run's start; `pace`: evaluations
    for a unit of time; `expected`: the explicit method's pace where stability sizes its steps, 0 if it is not known.
    """

    number: int
    now: float
    spent: int
    pace: float
    expected: float


def radius_of(plan: Plan, carry: Carry) -> float:
    """The spectral radius as the method last knew it; 0 for one that does not know."""
    return 0.0 if plan.method.radius is None else float(plan.method.radius(carry.solver))


def due(carry: Carry) -> bool:
    """Is it time for a look at the stiffness?"""
    return int(carry.code) == Code.RUNNING and until_look(carry) <= 0


def until_look(carry: Carry) -> int:
    """Tried steps from here to the next look."""
    choice = carry.choice
    return int(choice.tries) + int(choice.window) - int(carry.steps) - int(carry.rejected)


def reconsider(methods: Methods, plan: Plan, carry: Carry) -> tuple[Plan, Carry]:
    """The plan to continue with, and the carry in its terms."""
    if not methods.stiff:
        return plan, carry
    carry = _at_hand(carry)
    number, choice = methods.number(plan), carry.choice
    now, spent = carry.clock.to_host(), int(carry.evaluations)
    pace = (spent - int(choice.evaluations)) / max(now - choice.clock.to_host(), 1e-300)
    per_radius = float(choice.per_radius)
    expected = per_radius * radius_of(plan, carry)
    if plan.method.kind in SYMMETRIC and expected < pace:
        # Once what is stiff has decayed, a Krylov space is of slow directions alone: λ has to be looked for.
        radius, carry = _measured(plan, carry)
        expected = max(expected, per_radius * radius)
    window = _Window(number, now, spent, pace, expected)
    if int(choice.incumbent) >= 0:
        return _judge(methods, carry, window)
    return (_leave_explicit if number == 0 else _leave_stiff)(methods, carry, window)


def _leave_explicit(methods: Methods, carry: Carry, window: _Window) -> tuple[Plan, Carry]:
    """Where stability sizes the steps: a trial of the first method for stiff flows whose time has come."""
    open_to = [
        k
        for k in range(1, len(methods.plans))
        if window.spent >= float(carry.choice.again[k])
        or (np.isfinite(carry.choice.again[k]) and window.pace > 2 * float(carry.choice.pace[k]))
    ]
    if not open_to or _to_come(methods, carry, window) < _WORTH_FIRST:
        return _stay(methods, carry, window)
    radius, carry = _measured(methods.explicit, carry)
    # The mean step's too: steps that still grow are sized by accuracy.
    one = int(methods.explicit.method.evaluations(carry.solver, carry.solver))
    reach = min(float(carry.previous_step), one / window.pace) * radius
    if reach <= STIFF:
        later = max(STIFF / max(reach, STIFF / _LONGEST), 1.5)  # far from the limit the next look can wait
        return _stay(methods, carry, window, min(int(carry.choice.window * later), CHECK))
    carry = _chosen(carry, per_radius=window.pace / radius)
    return _try(methods, carry, window, open_to[0])


def _to_come(methods: Methods, carry: Carry, window: _Window) -> float:
    """Evaluations that the explicit method has yet to take: at the window's pace, or as many for every e-fold of time.

    Most flows slow down, and take about as many steps for every e-fold. One that stability holds back at a fixed λ does
    not; there the second figure is too low at first, but grows with the time that passes.
    """
    start, end = methods.explicit.start()[0].to_host(), methods.explicit.end.to_host()
    before, since, left = carry.choice.clock.to_host() - start, window.now - start, end - window.now
    return float(evaluations_left(np, window.spent - int(carry.choice.evaluations), before, since, left))


def _leave_stiff(methods: Methods, carry: Carry, window: _Window) -> tuple[Plan, Carry]:
    """A trial of the explicit method where it would be cheaper at the edge of stability, or of another one."""
    again = carry.choice.again
    if window.pace > window.expected and window.spent >= float(again[0]):
        return _try(methods, carry, window, 0)
    to_come = window.pace * (methods.explicit.end.to_host() - window.now)
    others = [k for k in range(1, len(methods.plans)) if k != window.number and window.spent >= float(again[k])]
    plan = methods.plans[window.number]
    if others and plan.method.kind not in SYMMETRIC and to_come > max(_WORTH_SECOND, window.spent):
        return _try(methods, carry, window, others[0])
    if others and plan.method.kind in SYMMETRIC and to_come > _WORTH:
        promised = _PROMISING * window.pace
        if _stabilized_pace(carry, radius_of(plan, carry)) < promised:
            radius, carry = _measured(plan, carry)  # a Krylov space need not know all of it
            if _stabilized_pace(carry, radius) < promised:
                return _try(methods, carry, window, others[0])
    return _stay(methods, carry, window)


def _stabilized_pace(carry: Carry, radius: float) -> float:
    """About that of a stabilized method in steps as long as these: its stages grow with the root of step × λ."""
    step = float(carry.step)
    return (math.sqrt(step * radius / _INTERVAL) + 2) / step


def _measured(plan: Plan, carry: Carry) -> tuple[float, Carry]:
    """The spectral radius where the loop stands, and the carry with what finding it took."""
    radius, products = jax.device_get(curvature(plan, carry))
    spent = jnp.asarray(int(carry.evaluations) + 2 * int(products) + 1, carry.evaluations.dtype)
    return float(radius), dataclasses.replace(carry, evaluations=spent)


def _judge(methods: Methods, carry: Carry, window: _Window) -> tuple[Plan, Carry]:
    """A trial's method keeps the flow, has some more steps, or gives it back."""
    choice, number = carry.choice, window.number
    incumbent, before = int(choice.incumbent), float(choice.pace[number])
    rival = float(choice.pace[incumbent])
    if incumbent == 0 and window.expected > 0:
        rival = min(rival, window.expected)  # λ may have fallen meanwhile
    began = int(choice.trial_evaluations)
    cost = window.spent - began
    demand = methods.reluctance if min(incumbent, number) > 0 else 1.0
    if window.pace * demand <= rival:
        later = _LATER * window.spent  # the other methods for stiff flows
        again = [max(float(a), later) if k not in (0, number) else float(a) for k, a in enumerate(choice.again)]
        carry = _chosen(carry, incumbent=-1, again=again)
        return _stay(methods, carry, window, FIRST_LOOK)
    if window.pace < _IMPROVES * before and cost < max(_LEAST, _SHARE * began):
        return _stay(methods, carry, window, _TRIAL)
    gained = rival * (window.now - choice.trial_clock.to_host())
    again = _with(choice.again, {number: window.spent + min(max(cost - gained, 0.0) / _WASTE, window.spent)})
    pace = _with(choice.pace, {number: window.pace})
    carry = _chosen(carry, incumbent=-1, again=again, pace=pace)
    return _change(methods.plans[number], methods.plans[incumbent], carry, FIRST_LOOK)


def _try(methods: Methods, carry: Carry, window: _Window, number: int) -> tuple[Plan, Carry]:
    """The start of a trial."""
    pace = _with(carry.choice.pace, {window.number: window.pace, number: np.inf})
    trial = {"trial_clock": carry.clock, "trial_evaluations": carry.evaluations, "incumbent": window.number}
    plans = methods.plans
    return _change(plans[window.number], plans[number], _chosen(carry, pace=pace, **trial), _TRIAL)


def _stay(methods: Methods, carry: Carry, window: _Window, steps: int | None = None) -> tuple[Plan, Carry]:
    """The same method until the next look, `steps` from here; by default half as far again as to this one."""
    steps = min(int(carry.choice.window) * 3 // 2, CHECK) if steps is None else steps
    pace = _with(carry.choice.pace, {window.number: window.pace})
    return methods.plans[window.number], _marked(_chosen(carry, pace=pace), steps)


def _change(old: Plan, new: Plan, carry: Carry, window: int) -> tuple[Plan, Carry]:
    """The loop at the same moment by another method, with steps as long as they were."""
    choice, step = carry.choice, carry.step
    fresh = restart(new, carry, carry.clock, carry.state, carry.signs)
    if new.method.radius is None and float(choice.pace[0]) < np.inf:
        # Back to the explicit method: no longer than it went when it was left.
        one = int(new.method.evaluations(fresh.solver, fresh.solver))
        step = jnp.minimum(step, (one / choice.pace[0]).astype(step.dtype))
    step = jnp.minimum(step, fresh.clock.until(new.end))
    return new, _marked(eqx.tree_at(lambda c: (c.choice, c.step), fresh, (choice, step)), window)


def give_up(methods: Methods, plan: Plan, carry: Carry) -> tuple[Plan, Carry]:
    """Back to the explicit method, from the last good state of one for stiff flows that failed, which is out."""
    number, carry = methods.number(plan), _at_hand(carry)
    carry = _chosen(carry, incumbent=-1, again=_with(carry.choice.again, {number: np.inf}))
    return _change(plan, methods.explicit, carry, FIRST_LOOK)


def _marked(carry: Carry, window: int) -> Carry:
    """The next window starts here."""
    tries = int(carry.steps) + int(carry.rejected)
    return _chosen(carry, clock=carry.clock, evaluations=carry.evaluations, tries=tries, window=window)


def _at_hand(carry: Carry) -> Carry:
    """The carry with its choice in the host's memory: to decide with JAX's arrays would compile every sum."""
    return dataclasses.replace(carry, choice=jax.device_get(carry.choice))


def _with(values: np.ndarray, new: Mapping[int, int | float]) -> np.ndarray:
    """A copy with other values at some places."""
    values = np.array(values)
    for place, value in new.items():
        values[place] = value
    return values


def _chosen(carry: Carry, **fields) -> Carry:
    """The carry with these fields of its choice."""
    old: Choice = carry.choice

    def like(name: str, value):
        return value if isinstance(value, Clock) else np.asarray(value, getattr(old, name).dtype)

    new = {name: like(name, value) for name, value in fields.items()}
    return dataclasses.replace(carry, choice=dataclasses.replace(old, **new))
