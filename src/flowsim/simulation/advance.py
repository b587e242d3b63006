"""One chunk of steps, as one jitted function without callbacks.

Each pass of the loop tries one step of a Diffrax solver, saves what falls into it, and asks of each event whether a
sign change can be excluded. Saving reads the solver's dense output, so save times never change the steps.
"""

import math
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from .. import _tree
from .._jit import fast_compile, prompt_compile
from ..probes import measure_all
from .carry import Carry, Choice, Clock, Code, Plan, State
from .inside import TERMS, Attempt, Inside, moment, read_dense_output, select, sign_of
from .roughness import none_yet, noted

FIRST_LOOK = 7  # steps before the first look at the stiffness
_LONG = 1e8  # numbers computed by vector fields: what a program compiled promptly loses by then, compiling well costs
_MOST = 30_000  # evaluations, where these are of few numbers
_SOON = 200  # evaluations that any run takes
_REJECTIONS = 30  # in a row: the step has shrunk by at least 0.9³⁰, and by 0.2³⁰ if the state was not finite


def begin(plan: Plan) -> Carry:
    """The loop at its start; for use inside compiled functions."""
    clock, state = plan.start()
    return _begin(plan, clock, State(state, jnp.zeros_like(clock.high)))


start = fast_compile(begin)


@fast_compile
def restart(plan: Plan, carry: Carry, clock: Clock, state: State, signs: Int[Array, "events"]) -> Carry:
    """The loop at a state where the velocity jumps: nothing that the solver knows of it holds any longer.

    **Arguments:** `carry`: whose counts go on. `signs`: of the events, which may be exactly 0 here.
    """
    fresh = _begin(plan, clock, state)
    spent = carry.evaluations + fresh.evaluations
    choice = eqx.tree_at(lambda c: (c.evaluations, c.tries), fresh.choice, (spent, carry.steps + carry.rejected))
    return eqx.tree_at(
        lambda c: (c.signs, c.saved, c.steps, c.rejected, c.evaluations, c.roughness, c.choice),
        fresh,
        (signs, carry.saved, carry.steps, carry.rejected, spent, carry.roughness, choice),
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
    signs = jnp.array([sign_of(p) for p in parts], jnp.int32)

    def as_arrays(tree):
        return jax.tree.map(jnp.asarray, tree)

    def own(tree):
        """Where the loop will overwrite it, not an array that someone else holds too."""
        return jax.tree.map(jnp.copy, tree) if plan.in_place else tree

    return Carry(
        clock, own(state), step, own(as_arrays(solver)), as_arrays(control),
        clock, own(state) if plan.events else None, zero, signs, parts, signs, jnp.zeros(len(parts), bool),
        count, count, count, count + 2 * (method.controller is not None), count,
        jnp.asarray(Code.RUNNING, jnp.int32), none_yet(zero), Choice.none_yet(clock, FIRST_LOOK),
    )  # fmt: skip


def proceed(plan: Plan, carry: Carry, budget: Int[Array, ""]) -> tuple[Carry, dict, Int[Array, ""]]:
    """Take up to `budget` steps; stop early for an event that asks for a look, for full rows, or at the end.

    A chunk also ends before a step that the end of the run cuts short: from there a longer run takes the whole step;
    and where the run turns out to be a long one, which another program goes on with.
    For use inside compiled functions.

    **Returns:** the carry; the rows of saved probes; and how many of them are filled.
    """
    shapes = jax.eval_shape(lambda: measure_all(plan.probes, moment(plan, carry.clock, carry.state)))
    rows = jax.tree.map(lambda x: jnp.zeros((plan.capacity, *x.shape), x.dtype), shapes)
    carry = eqx.tree_at(lambda c: c.look, carry, jnp.zeros_like(carry.look))
    began = carry.steps + carry.rejected
    limit, was_long = began + budget, carry.evaluations >= _long_from(plan)

    def running(loop):
        carry, _, _count, full = loop
        tried = carry.steps + carry.rejected
        ends = (_cut(plan, carry) & (tried > began)) | (~was_long & (carry.evaluations >= _long_from(plan)))
        return (carry.code == Code.RUNNING) & (tried < limit) & ~full & ~jnp.any(carry.look) & ~ends

    def body(loop):
        carry, rows, count, _ = loop
        tried = attempt(plan, carry)
        seen = read_dense_output(plan, carry, tried, rows, count)
        return commit(plan, carry, tried, seen, tried.accept & ~seen.full), seen.rows, seen.count, seen.full

    loop = (carry, rows, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    carry, rows, count, _ = jax.lax.while_loop(running, body, loop)
    return carry, rows, count


def _proceed_in_place(rest: tuple[Plan, Carry, Int[Array, ""]], large: tuple[State, State | None, PyTree]):
    plan, carry, budget = rest
    return proceed(plan, eqx.tree_at(_large, carry, large, is_leaf=lambda x: x is None), budget)


def owned(plan: Plan, carry: Carry) -> Carry:
    """The carry as `advance` may have it: a copy where it overwrites what others hold too."""
    if not plan.in_place:
        return carry
    large = jax.tree.map(lambda x: jnp.array(x, copy=True), _large(carry))
    return eqx.tree_at(_large, carry, large, is_leaf=lambda x: x is None)


def _large(carry: Any) -> tuple[Any, Any, Any]:
    """What of a carry is of the size of the state."""
    return carry.state, carry.previous_state, carry.solver


def _long_from(plan: Plan) -> int:
    """Evaluations from which on a run is a long one, whose program is worth compiling well; 0 if it is from the start.

    Of the path alone, whatever the chunks: their last bits may differ between the programs.
    """
    if plan.short or jax.default_backend() != "cpu":
        return 0
    evaluations = math.ceil(min(_LONG / _tree.size(plan.problem.parameters), _MOST))
    return evaluations if evaluations > _SOON else 0


_advance_quickly, _advance_promptly = fast_compile(proceed), prompt_compile(proceed)
_advance_well = eqx.filter_jit(proceed)
_advance_in_place = eqx.filter_jit(_proceed_in_place, donate="all-except-first")


def advance(plan: Plan, carry: Carry, budget: Int[Array, ""]) -> tuple[Carry, dict, Int[Array, ""]]:
    """`proceed`, compiled. A plan that is `in_place` takes the state's memory: it cannot be read afterwards."""
    program, arguments = _program(plan, carry, budget)
    return program(*arguments)


def lowered(plan: Plan, carry: Carry, budget: Int[Array, ""]) -> Any:
    """The program of `advance` before it is compiled, to ask what it needs."""
    program, arguments = _program(plan, carry, budget)
    return program.lower(*arguments)


def _program(plan: Plan, carry: Carry, budget: Int[Array, ""]) -> tuple[Any, tuple]:
    if plan.in_place:
        rest = eqx.tree_at(_large, carry, (None, None, None), is_leaf=lambda x: x is None)
        return _advance_in_place, ((plan, rest, budget), _large(carry))
    well = _advance_promptly if int(carry.evaluations) < _long_from(plan) else _advance_well
    return (_advance_quickly if plan.short else well), (plan, carry, budget)


def measure(plan: Plan, carry: Carry) -> dict:
    """All probes where the loop stands; for use inside compiled functions."""
    return measure_all(plan.probes, moment(plan, carry.clock, carry.state))


observe = fast_compile(measure)


def _cut(plan: Plan, carry: Carry) -> Bool[Array, ""]:
    """Is the next step the last? One that ends a few roundings before the end would leave a sliver for another."""
    return carry.step * (1 + 1e-6) >= carry.clock.until(plan.end)


def attempt(plan: Plan, carry: Carry) -> Attempt:
    """One step of the solver from where the loop stands; for use inside compiled functions."""
    method, args = plan.method, (plan, carry.clock)
    zero = jnp.zeros_like(carry.step)
    remaining, last = carry.clock.until(plan.end), _cut(plan, carry)
    size = jnp.where(last, remaining, carry.step)
    state, error, dense, solver, result = method.solver.step(
        TERMS, zero, size, carry.state, args, carry.solver, jnp.zeros((), bool)
    )
    solved = result == diffrax.RESULTS.successful
    finite, reached = _all_finite(state), jnp.ones((), bool) if error is None else _all_finite(error)
    good = finite & solved & reached
    known = jax.tree.map(jnp.zeros_like, state) if error is None else error
    if method.controller is None:
        accept, next_size, control = good, method.fixed_step, carry.controller
    else:
        # Far too large, to the controller; a product, as it needs no array of its own where a selection would.
        factor = jnp.where(good, 1.0, jnp.inf)
        error = jax.tree.map(lambda e: e * factor.astype(e.dtype), error)
        order: Any = method.solver.error_order(TERMS)
        accept, new_start, new_end, _, control, _ = method.controller.adapt_step_size(
            zero, size, carry.state, state, args, error, order, carry.controller
        )
        next_size = new_end - new_start
    # Before anything is read off the step: its error need not be kept until then.
    roughness = noted(carry, method, size, state, known, usable=good, accept=jnp.asarray(accept))
    return Attempt(
        size,
        last,
        state,
        known,
        jnp.asarray(accept),
        finite,
        solved,
        reached,
        dense,
        solver,
        control,
        jnp.asarray(next_size),
        roughness,
    )


def commit(plan: Plan, carry: Carry, tried: Attempt, seen: Inside, taken: Bool[Array, ""]) -> Carry:
    """The carry after a step that was taken, refused by the error test, or put off because the rows were full.

    A step that is put off leaves the position on the path as it was: the next chunk takes the very same step again.
    """
    method = plan.method
    off = tried.accept & ~taken
    end = select(tried.last, plan.end, carry.clock.advance(tried.size))
    retry = method.after_rejection(carry.solver, tried.solver)
    in_a_row = jnp.where(tried.accept, 0, carry.rejected_in_a_row + 1)
    step = jnp.where(off, carry.step, tried.next_size)
    spent = method.evaluations(carry.solver, tried.solver) + seen.finishing
    return Carry(
        clock=select(taken, end, carry.clock),
        state=select(taken, tried.state, carry.state),
        step=step,
        solver=select(taken, tried.solver, select(off, carry.solver, retry)),
        controller=select(off, carry.controller, tried.controller),
        previous_clock=carry.clock,
        previous_state=carry.state if plan.events else None,
        previous_step=tried.size,
        previous_signs=carry.signs,
        parts=select(taken, seen.parts, carry.parts),
        signs=jnp.where(taken, seen.signs, carry.signs),
        look=seen.look & taken,
        saved=seen.saved,
        steps=carry.steps + taken,
        rejected=carry.rejected + ~tried.accept,
        evaluations=carry.evaluations + spent.astype(carry.evaluations.dtype),
        rejected_in_a_row=in_a_row,
        code=_code(method, tried, taken, in_a_row, step, end),
        roughness=select(off, carry.roughness, tried.roughness),
        choice=carry.choice,
    )


def _code(method, tried: Attempt, commit, in_a_row, step, clock: Clock):
    patience = 1 if method.controller is None else _REJECTIONS
    floor = 0.01 * jnp.finfo(step.dtype).eps * jnp.abs(clock.value)
    stuck = (in_a_row >= patience) | (~tried.last & (step < floor))
    why = jnp.where(~tried.reached, Code.BEYOND_REACH, Code.STEP_SIZE_FLOOR)
    why = jnp.where(~tried.solved, Code.IMPLICIT_FAILED, why)
    why = jnp.where(~tried.finite, Code.NOT_FINITE, why)
    code = jnp.where(commit & tried.last, Code.DONE, jnp.where(stuck, why, Code.RUNNING))
    return code.astype(jnp.int32)


def _all_finite(tree: PyTree) -> Bool[Array, ""]:
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]))
