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
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from ..solvers import Tableau
from .steps import Block, End, Steps

Field = Callable[[Array, Array, PyTree], Array]  # (t, y, w) -> dy/dt, of flat states


class Back(NamedTuple):
    """Derivatives at the beginning of a step. **Fields:** `y`: by the state; `w`: by the other numbers."""

    y: Float[Array, "entries"]
    w: PyTree


def backwards(field: Field, tableau: Tableau, steps: Steps, w: PyTree, end: End, at_end: Back) -> Back:
    """Carry derivatives at the end of a run back to its start."""
    back = at_end
    for index in reversed(range(end.block + 1)):
        block = steps.blocks[index]
        count, sizes = block.count, block.sizes
        if index == end.block:
            count, sizes = end.number + 1, sizes.at[end.number].set(end.size)
        states = starts(field, tableau, block, w)
        back = _through(field, tableau, (states, block.times, sizes), jnp.asarray(count), w, back)
    return back


def starts(field: Field, tableau: Tableau, block: Block, w: PyTree) -> Array:
    """The states at the beginning of each step of a block."""
    return block.starts if block.whole else _again(field, tableau, block.starts[0], block.times, block.sizes, w)


def stepped(field: Field, tableau: Tableau, t: Array, h: Array, y: Array, w: PyTree) -> Array:
    """The state after a step."""
    return y + h * (tableau.b @ _stages(field, tableau, t, h, y, w)[1])


@eqx.filter_jit
def _again(field: Field, tableau: Tableau, start: Array, times: Array, sizes: Array, w: PyTree) -> Array:
    def step(y, step):
        t, h = step
        return stepped(field, tableau, t, h, y, w), y

    return jax.lax.scan(step, start, (times, sizes))[1]


@eqx.filter_jit
def _through(
    field: Field, tableau: Tableau, steps: tuple[Array, Array, Array], count: Int[Array, ""], w: PyTree, end: Back
) -> Back:
    """Back through the first `count` of these steps, the last one first."""

    def step(number, back):
        y, t, h = (x[count - 1 - number] for x in steps)
        points, _ = _stages(field, tableau, t, h, y, w)

        def stage(loop, i):
            later, total = loop
            weight = h * (tableau.b[i] * back.y + tableau.a[:, i] @ later)
            pull = jax.vjp(lambda y, w: field(t + tableau.c[i] * h, y, w), points[i], w)[1]
            of_y, of_w = pull(weight)
            return (later.at[i].set(of_y), jax.tree.map(jnp.add, total, of_w)), None

        order = jnp.arange(len(tableau.b))[::-1]
        (later, total), _ = jax.lax.scan(stage, (jnp.zeros_like(points), back.w), order)
        return Back(back.y + jnp.sum(later, axis=0), total)

    return jax.lax.fori_loop(0, count, step, end)


def _stages(field: Field, tableau: Tableau, t: Array, h: Array, y: Array, w: PyTree) -> tuple[Array, Array]:
    """The points Y_i of a step and the slopes there."""

    def stage(loop, i):
        points, slopes = loop
        point = y + h * (tableau.a[i] @ slopes)
        slope = field(t + tableau.c[i] * h, point, w)
        return (points.at[i].set(point), slopes.at[i].set(slope)), None

    nothing = jnp.zeros((len(tableau.b), y.size), y.dtype)
    return jax.lax.scan(stage, (nothing, nothing), jnp.arange(len(tableau.b)))[0]
