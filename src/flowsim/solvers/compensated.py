"""Compensated accumulation: the state as an unevaluated sum of two numbers, so that no small step is rounded away."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, cast

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..solver_names import COMPENSABLE, COMPENSATED
from .dense import AbstractDense
from .method import Method


class CompensatedMemory(eqx.Module):
    """What a compensated method knows between steps.

    **Fields:** `inner`: what the method itself knows; `low`: what the state's rounding has left out, at most half a
    unit in the last place of each number.
    """

    inner: PyTree
    low: PyTree


class ShiftedDense(AbstractDense):
    """The dense output of a step's changes, added to the state at its start."""

    t0: Float[Array, ""]
    t1: Float[Array, ""]
    start: PyTree
    change: diffrax.AbstractLocalInterpolation

    def at(self, t):
        return _add(self.start, self.change.evaluate(t))


class Compensated(diffrax.AbstractAdaptiveSolver):
    """A Runge-Kutta method that carries the state as high + low, two numbers of its precision.

    The method steps the change d = y - high, which starts from low,

        d' = f(high + d),   d(0) = low,   high₁ + low₁ = high + d₁ exactly (two-sum)

    so that what it adds up is small, and the sum with the state is rounded once a step, into a number that is kept. A
    plain step rounds the state to eps |y|, N steps to about √N eps |y|, and a change below eps |y| / 2 is lost. Here
    the rounding of the slopes is left, whatever the number of steps.

    The vector field sees high + d, rounded. `high` is the state of the loop, `low` is in the solver's memory: a
    controller, probes and events see the state as of any method. Dropped with that memory, it costs one rounding.

    **Arguments:** `inner`: an explicit or a stabilized method; its steps must not depend on the size of the state, but
    through the vector field.

    **Reference:** Møller (1965), BIT 5, 37-50 (quasi double-precision); Kahan (1965), Comm. ACM 8, 40; Higham (2002),
    Accuracy and Stability of Numerical Algorithms, sections 4.3 and 4.4.
    """

    inner: diffrax.AbstractSolver

    term_structure: ClassVar = diffrax.AbstractTerm

    @property
    def interpolation_cls(self) -> Callable[..., ShiftedDense]:  # pyright: ignore[reportIncompatibleVariableOverride]
        def made(*, t0, t1, start, **dense):
            return ShiftedDense(t0, t1, start, self.inner.interpolation_cls(t0=t0, t1=t1, **dense))

        return made

    @property
    def in_place(self) -> bool:
        return getattr(self.inner, "in_place", False)

    @property
    def kept(self) -> tuple[str, ...]:
        """Of a step without its dense output, for it; for methods with `finish`."""
        return ("start", *cast(Any, self.inner).kept)

    def order(self, terms):
        return self.inner.order(terms)

    def error_order(self, terms):
        return self.inner.error_order(terms)

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)

    def init(self, terms, t0, t1, y0, args):
        low = jax.tree.map(jnp.zeros_like, y0)
        return CompensatedMemory(self.inner.init(_around(terms, y0), t0, t1, low, args), low)

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        change, error, dense, inner, result = self.inner.step(
            _around(terms, y0), t0, t1, solver_state.low, args, solver_state.inner, made_jump
        )
        y1, low = two_sum(y0, change)
        return y1, error, {"start": y0, **dense}, CompensatedMemory(inner, low), result

    def finish(self, terms, t0, t1, args, unfinished):
        """As of the method itself: what the dense output of a step that was taken without it lacks."""
        rest = {name: value for name, value in unfinished.items() if name != "start"}
        return cast(Any, self.inner).finish(_around(terms, unfinished["start"]), t0, t1, args, rest)


def compensates(kind: str, asked: bool | None, dtype: Any) -> bool:
    """Does a method add up compensated? If nothing is asked for, in float32.

    **Arguments:** `asked`: for a run, whose methods are not all able to.
    """
    wanted = jnp.dtype(dtype).name in COMPENSATED if asked is None else asked
    return wanted and kind in COMPENSABLE


def compensated(method: Method) -> Method:
    """The same method with compensated accumulation."""
    return dataclasses.replace(
        method,
        solver=Compensated(method.solver),
        evaluations=_OfInner(method.evaluations),
        after_rejection=_Retry(method.after_rejection),
        radius=None if method.radius is None else _OfInner(method.radius),
        states=method.states + (1 if method.in_place else 3),  # `low`; not in place it is there before and after a step
        compensated=True,
    )


# Compared by value, so that two runs share one compiled program.
@dataclasses.dataclass(frozen=True)
class _OfInner:
    """What is known from a method's memory, from that of the compensated one."""

    function: Callable[..., Array]

    def __call__(self, *memories: CompensatedMemory) -> Array:
        return self.function(*(memory.inner for memory in memories))


@dataclasses.dataclass(frozen=True)
class _Retry:
    """The memory with which a step is tried again: the state is where it was, and so is its low part."""

    function: Callable[[PyTree, PyTree], PyTree]

    def __call__(self, before: CompensatedMemory, attempted: CompensatedMemory) -> CompensatedMemory:
        return CompensatedMemory(self.function(before.inner, attempted.inner), before.low)


def two_sum(x: PyTree, y: PyTree) -> tuple[PyTree, PyTree]:
    """The rounded sum and what was rounded away: their sum is x + y exactly, whichever is the larger.

    **Reference:** Knuth (1969), The Art of Computer Programming II, section 4.2.2, theorem B.
    """
    total = _add(x, y)

    def rest(x, y, total):
        part = total - x
        return (x - (total - part)) + (y - part)

    return total, jax.tree.map(rest, x, y, total)


def _add(x: PyTree, y: PyTree) -> PyTree:
    return jax.tree.map(jnp.add, x, y)


def _around(terms, y0: PyTree) -> diffrax.ODETerm:
    """The field of changes from a state."""
    return diffrax.ODETerm(lambda t, change, args: terms.vf(t, _add(y0, change), args))
