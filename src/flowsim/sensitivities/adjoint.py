"""The exact adjoint of the steps that a solver took: derivatives by many numbers at the cost of one backward pass.

A step of an explicit Runge-Kutta method, y₁ = y₀ + h Σ b_i k_i with k_i = f(Y_i, w) and Y_i = y₀ + h Σ a_ij k_j,
carries a row vector λ₁ = ∂φ/∂y₁ back to

    μ_i = h (b_i λ₁ + Σ_j>i a_ji ν_j),    ν_i = ∂f/∂y(Y_i)ᵀ μ_i,    λ₀ = λ₁ + Σ ν_i,    ∂φ/∂w += Σ ∂f/∂w(Y_i)ᵀ μ_i.

It is the derivative of the numbers that the run computed, at the step sizes that it took, to rounding. Each stage costs
a gradient, to be there again, and a vector-Jacobian product of the velocity, about two more.

Reference: Hager (2000), Runge-Kutta methods in optimal control and the transformed adjoint system, Numer. Math. 87;
Sanz-Serna (2016), Symplectic Runge-Kutta schemes for adjoint equations, SIAM Rev. 58.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ..records import Status
from ..simulation import AbstractConsumer, Chunk, History, Prepared
from ..solvers import Tableau

Field = Callable[[Array, Array, PyTree], Array]  # (t, y, w) -> dy/dt, of flat states
_NUMBERS = 5e7  # that the recorded states may hold, 0.4 GB in float64


class Recorder(AbstractConsumer):
    """Remembers the steps of a run whose chunks are single steps: where each began, and how long it was.

    States are kept as far as memory allows, of every `stride`-th step; those between are computed again.
    """

    def __init__(self):
        self.stride, self.starts, self.times, self.sizes = 1, [], [], []

    def begin(self, prepared: Prepared, history: History) -> None:
        pass

    def take(self, chunk: Chunk, history: History) -> Status | None:
        carry = chunk.carry
        if int(carry.steps) == len(self.sizes):
            return  # the step was rejected
        if len(self.sizes) % self.stride == 0:
            self.starts.append(jax.flatten_util.ravel_pytree(carry.previous_state.flow)[0])
        self.times.append(carry.previous_clock.to_host())
        self.sizes.append(float(carry.previous_clock.until(carry.clock)))  # shorter at a terminal event
        if len(self.starts) * self.starts[0].size > _NUMBERS:
            self.starts, self.stride = self.starts[::2], 2 * self.stride


class Back(NamedTuple):
    """Derivatives at the beginning of a step. **Fields:** `y`: by the state; `w`: by the other numbers."""

    y: Float[Array, "entries"]
    w: PyTree


def backwards(field: Field, tableau: Tableau, steps: Recorder, w: PyTree, end: Back) -> Back:
    """Carry derivatives at the end of a run back to its start."""
    dtype, stride = end.y.dtype, steps.stride
    back = end
    if stride == 1:
        xs = (jnp.stack(steps.starts), jnp.asarray(steps.times, dtype), jnp.asarray(steps.sizes, dtype))
        return _through(field, tableau, xs, w, back)
    for number in reversed(range(len(steps.starts))):
        part = slice(number * stride, (number + 1) * stride)
        missing = stride - len(steps.sizes[part])  # steps of size 0 change nothing
        times, sizes = (np.pad(np.asarray(x[part]), (0, missing)) for x in (steps.times, steps.sizes))
        times, sizes = jnp.asarray(times, dtype), jnp.asarray(sizes, dtype)
        states = _again(field, tableau, steps.starts[number], times, sizes, w)
        back = _through(field, tableau, (states, times, sizes), w, back)
    return back


@eqx.filter_jit
def _again(field: Field, tableau: Tableau, start: Array, times: Array, sizes: Array, w: PyTree) -> Array:
    """The states at the beginning of each step."""

    def step(y, step):
        t, h = step
        _, slopes = _stages(field, tableau, t, h, y, w)
        return y + h * (tableau.b @ slopes), y

    return jax.lax.scan(step, start, (times, sizes))[1]


@eqx.filter_jit
def _through(field: Field, tableau: Tableau, steps: tuple[Array, Array, Array], w: PyTree, end: Back) -> Back:
    def step(back, step):
        y, t, h = step
        points, _ = _stages(field, tableau, t, h, y, w)

        def stage(loop, i):
            later, total = loop
            weight = h * (tableau.b[i] * back.y + tableau.a[:, i] @ later)
            pull = jax.vjp(lambda y, w: field(t + tableau.c[i] * h, y, w), points[i], w)[1]
            of_y, of_w = pull(weight)
            return (later.at[i].set(of_y), jax.tree.map(jnp.add, total, of_w)), None

        order = jnp.arange(len(tableau.b))[::-1]
        (later, total), _ = jax.lax.scan(stage, (jnp.zeros_like(points), back.w), order)
        return Back(back.y + jnp.sum(later, axis=0), total), None

    return jax.lax.scan(step, end, steps, reverse=True)[0]


def _stages(field: Field, tableau: Tableau, t: Array, h: Array, y: Array, w: PyTree) -> tuple[Array, Array]:
    """The points Y_i of a step and the slopes there."""

    def stage(loop, i):
        points, slopes = loop
        point = y + h * (tableau.a[i] @ slopes)
        slope = field(t + tableau.c[i] * h, point, w)
        return (points.at[i].set(point), slopes.at[i].set(slope)), None

    nothing = jnp.zeros((len(tableau.b), y.size), y.dtype)
    return jax.lax.scan(stage, (nothing, nothing), jnp.arange(len(tableau.b)))[0]
