"""One chunk of steps, as one jitted function without callbacks.

Each pass of the loop tries one step of a Diffrax solver, saves what falls into it, and asks of each event whether a
sign change can be excluded. Saving reads the solver's dense output, so save times never change the steps.
"""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from ..events import COARSE_POINTS, may_cross
from ..moment import Moment
from ..probes import measure_all
from ._carry import Carry, Clock, Code, Plan, State

_REJECTIONS = 30  # in a row: the step has shrunk by at least 0.9³⁰, and by 0.2³⁰ if the state was not finite


def vector_field(s, state: State, args) -> State:
    plan, clock = args
    velocity, rate = plan.flow.velocity(plan.problem, clock.advance(s).value, state.flow)
    return State(velocity, rate)


TERMS = diffrax.ODETerm(vector_field)


def moment(plan: Plan, clock: Clock, state: State) -> Moment:
    return Moment(plan.problem, clock.value, plan.flow.parameters(state.flow), plan.lift)


def select(condition: Bool[Array, ""], x: PyTree, y: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), x, y)


class _Attempt(eqx.Module):
    """One tried step."""

    size: Array
    last: Array
    state: State
    accept: Array
    finite: Array
    solved: Array  # did the solver's own iteration converge?
    dense: PyTree
    solver: PyTree
    controller: PyTree
    next_size: Array


@eqx.filter_jit
def start(plan: Plan) -> Carry:
    """The loop at t = 0."""
    zero = jnp.zeros((), plan.end.high.dtype)
    return _begin(plan, Clock(zero, zero), State(plan.flow.init(plan.problem), zero))


@eqx.filter_jit
def restart(plan: Plan, carry: Carry, clock: Clock, state: State, signs: Int[Array, "events"]) -> Carry:
    """The loop at a state where the velocity jumps: nothing that the solver knows of it holds any longer.

    **Arguments:** `carry`: whose counts go on. `signs`: of the events, which may be exactly 0 here.
    """
    fresh = _begin(plan, clock, state)
    return eqx.tree_at(
        lambda c: (c.signs, c.saved, c.steps, c.rejected, c.evaluations),
        fresh,
        (signs, carry.saved, carry.steps, carry.rejected, carry.evaluations + fresh.evaluations),
    )


def _begin(plan: Plan, clock: Clock, state: State) -> Carry:
    """The loop at a state, with nothing known of the path."""
    remaining, method = clock.until(plan.end), plan.method
    zero, count = jnp.zeros_like(remaining), jnp.zeros((), int)
    args = (plan, clock)
    if method.controller is None:
        step, control = method.fixed_step, ()
    else:
        order: Any = method.solver.error_order(TERMS)
        step, control = method.controller.init(TERMS, zero, remaining, state, None, args, method.solver.func, order)
    step = jnp.asarray(step)
    # Diffrax's rule for the first step sees no bound: it may overflow where the field vanishes.
    step = jnp.where(jnp.isfinite(step) & (step > 0), jnp.minimum(step, remaining), remaining)
    solver = method.solver.init(TERMS, zero, step, state, args)
    parts = tuple(event.parts(moment(plan, clock, state)) for event in plan.events)
    signs = jnp.array([_sign(p) for p in parts], jnp.int32)

    def as_arrays(tree):
        return jax.tree.map(jnp.asarray, tree)

    return Carry(
        clock, state, step, as_arrays(solver), as_arrays(control),
        clock, state, zero, signs, parts, signs, jnp.zeros(len(parts), bool),
        count, count, count, count + 2 * (method.controller is not None), count, zero, zero,
        jnp.asarray(Code.RUNNING, jnp.int32),
    )  # fmt: skip


@eqx.filter_jit
def advance(plan: Plan, carry: Carry, budget: Int[Array, ""]) -> tuple[Carry, dict, Int[Array, ""]]:
    """Take up to `budget` steps; stop early for an event that asks for a look, for full rows, or at the end.

    **Returns:** the carry; the rows of saved probes; and how many of them are filled.
    """
    shapes = jax.eval_shape(lambda: measure_all(plan.probes, moment(plan, carry.clock, carry.state)))
    rows = jax.tree.map(lambda x: jnp.zeros((plan.capacity, *x.shape), x.dtype), shapes)
    carry = eqx.tree_at(lambda c: c.look, carry, jnp.zeros_like(carry.look))
    limit = carry.steps + carry.rejected + budget

    def running(loop):
        carry, _, _count, full = loop
        tried = carry.steps + carry.rejected
        return (carry.code == Code.RUNNING) & (tried < limit) & ~full & ~jnp.any(carry.look)

    def body(loop):
        carry, rows, count, _ = loop
        tried = _try(plan, carry)
        rows, count, saved, full = _save(plan, carry, tried, rows, count)
        return _commit(plan, carry, tried, saved, tried.accept & ~full), rows, count, full

    loop = (carry, rows, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    carry, rows, count, _ = jax.lax.while_loop(running, body, loop)
    return carry, rows, count


@eqx.filter_jit
def observe(plan: Plan, carry: Carry) -> dict:
    """All probes where the loop stands."""
    return measure_all(plan.probes, moment(plan, carry.clock, carry.state))


def _try(plan: Plan, carry: Carry) -> _Attempt:
    method, args = plan.method, (plan, carry.clock)
    zero = jnp.zeros_like(carry.step)
    remaining = carry.clock.until(plan.end)
    # A step that ends a hair before the end would leave a sliver for the next one.
    last = carry.step * (1 + 1e-6) >= remaining
    size = jnp.where(last, remaining, carry.step)
    state, error, dense, solver, outcome = method.solver.step(
        TERMS, zero, size, carry.state, args, carry.solver, jnp.zeros((), bool)
    )
    solved = outcome == diffrax.RESULTS.successful
    finite = _all_finite(state) if error is None else _all_finite((state, error))
    if method.controller is None:
        accept, next_size, control = finite & solved, method.fixed_step, carry.controller
    else:
        # The controller cannot size a step whose error is NaN; infinite is "far too large" to it.
        good = finite & solved
        error = jax.tree.map(lambda e: jnp.where(good, e, jnp.inf), error)
        order: Any = method.solver.error_order(TERMS)
        accept, new_start, new_end, _, control, _ = method.controller.adapt_step_size(
            zero, size, carry.state, select(good, state, carry.state), args, error, order, carry.controller
        )
        next_size = new_end - new_start
    return _Attempt(
        size, last, state, jnp.asarray(accept), finite, solved, dense, solver, control, jnp.asarray(next_size)
    )


def _save(plan: Plan, carry: Carry, tried: _Attempt, rows, count):
    """Measure the probes at every save time inside the step, while rows last."""
    inside = _interpolant(plan, carry.state, tried)
    number = plan.saves.high.shape[0]

    def local(k):
        return carry.clock.until(jax.tree.map(lambda x: x[jnp.minimum(k, number - 1)], plan.saves))

    def due(k):
        return tried.accept & (k < number) & (tried.last | (local(k) <= tried.size))

    def more(loop):
        k, _, count = loop
        return due(k) & (count < plan.capacity)

    def measure(loop):
        k, rows, count = loop
        s = jnp.clip(local(k), 0, tried.size)
        now = measure_all(plan.probes, moment(plan, carry.clock.advance(s), inside(s)))
        return k + 1, jax.tree.map(lambda r, x: r.at[count].set(x), rows, now), count + 1

    saved, rows, count = jax.lax.while_loop(more, measure, (carry.saved, rows, count))
    return rows, count, saved, due(saved)


def _interpolant(plan: Plan, start: State, tried: _Attempt):
    zero = jnp.zeros_like(tried.size)
    dense = plan.method.solver.interpolation_cls(t0=zero, t1=tried.size, **tried.dense)

    def inside(s):
        # At the ends the states are known; the dense output agrees with them only to rounding.
        state = select(s >= tried.size, tried.state, dense.evaluate(s))
        return select(s <= 0, start, state)

    return inside


def _commit(plan: Plan, carry: Carry, tried: _Attempt, saved, commit) -> Carry:
    """The carry after a step that was taken, refused by the error test, or put off because the rows were full.

    A step that is put off leaves everything but `saved` as it was: the next chunk takes the very same step again.
    """
    method = plan.method
    off = tried.accept & ~commit
    end = select(tried.last, plan.end, carry.clock.advance(tried.size))
    retry = method.after_rejection(carry.solver, tried.solver)
    in_a_row = jnp.where(tried.accept, 0, carry.rejected_in_a_row + 1)
    step = jnp.where(off, carry.step, tried.next_size)
    parts, signs, look = _watch(plan, carry, tried)
    return Carry(
        clock=select(commit, end, carry.clock),
        state=select(commit, tried.state, carry.state),
        step=step,
        solver=select(commit, tried.solver, select(off, carry.solver, retry)),
        controller=select(off, carry.controller, tried.controller),
        previous_clock=carry.clock,
        previous_state=carry.state,
        previous_step=tried.size,
        previous_signs=carry.signs,
        parts=select(commit, parts, carry.parts),
        signs=jnp.where(commit, signs, carry.signs),
        look=look & commit,
        saved=saved,
        steps=carry.steps + commit,
        rejected=carry.rejected + ~tried.accept,
        evaluations=carry.evaluations + method.evaluations(carry.solver, tried.solver).astype(carry.evaluations.dtype),
        rejected_in_a_row=in_a_row,
        pace=carry.pace,
        patience=carry.patience,
        code=_code(method, tried, commit, in_a_row, step, end),
    )


def _code(method, tried: _Attempt, commit, in_a_row, step, clock: Clock):
    patience = 1 if method.controller is None else _REJECTIONS
    floor = 0.01 * jnp.finfo(step.dtype).eps * jnp.abs(clock.value)
    stuck = (in_a_row >= patience) | (~tried.last & (step < floor))
    why = jnp.where(
        ~tried.finite, Code.NOT_FINITE, jnp.where(~tried.solved, Code.IMPLICIT_FAILED, Code.STEP_SIZE_FLOOR)
    )
    code = jnp.where(commit & tried.last, Code.DONE, jnp.where(stuck, why, Code.RUNNING))
    return code.astype(jnp.int32)


def _watch(plan: Plan, carry: Carry, tried: _Attempt):
    """Each event's parts and sign at the step's end, and whether the step must be looked into."""
    if not plan.events:
        return carry.parts, carry.signs, carry.look
    inside = _interpolant(plan, carry.state, tried)

    def measure(s):
        now = moment(plan, carry.clock.advance(s), inside(s))
        return tuple(event.parts(now) for event in plan.events)

    later = jax.lax.map(measure, tried.size * jnp.asarray(COARSE_POINTS[1:], tried.size.dtype))
    values = [jnp.concatenate([first[None], rest]) for first, rest in zip(carry.parts, later, strict=True)]
    parts = tuple(v[-2] for v in values)  # the last Chebyshev point is the step's end
    new = jnp.array([_sign(p) for p in parts], jnp.int32)
    signs = jnp.where(new == 0, carry.signs, new)
    look = jnp.array([may_cross(v, sign) for v, sign in zip(values, carry.signs, strict=True)])
    return parts, signs, look


def _sign(parts):
    return jnp.sign(jnp.min(parts)).astype(jnp.int32)


def _all_finite(tree: PyTree) -> Bool[Array, ""]:
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]))
