"""Second-order Runge-Kutta-Chebyshev: long steps on stiff gradient flows without linear solves."""

import math
from collections.abc import Callable
from typing import ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from .. import _tree
from .spectrum import Spectrum, refresh, unknown

DAMPING = (
    2 / 13
)  # ε: keeps |R| at about 1 - ε/3 inside the stability interval, and lets eigenvalues be slightly complex
_STRETCH = 2 / 3 * (1 - 2 / 15 * DAMPING)  # the stability interval is this times s² - 1


class Memory(eqx.Module):
    """What a stabilized method knows between steps.

    **Fields:** `slope`: f at the step's start, from the last step's end; `spectrum`: see there; `evaluations`: of the
    last attempted step, a Jacobian-vector product counted as two; `stages`: of the last attempted step, 0 if none was
    taken because the step was beyond reach.
    """

    slope: PyTree
    spectrum: Spectrum
    evaluations: Int[Array, ""]
    stages: Int[Array, ""]


class AbstractStabilized(diffrax.AbstractAdaptiveSolver):
    """What the Chebyshev methods share: their arguments, and the memory that they begin with."""

    safety: float = eqx.field(static=True, default=1.1)
    max_stages: int = eqx.field(static=True, default=250)
    renew_after: int = eqx.field(static=True, default=100)

    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., diffrax.ThirdOrderHermitePolynomialInterpolation]] = (
        diffrax.ThirdOrderHermitePolynomialInterpolation
    )

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)

    def init(self, terms, t0, t1, y0, args):
        return init_memory(terms, t0, y0, args)


class Stabilized(AbstractStabilized):
    """RKC2, the second-order Runge-Kutta-Chebyshev method, with as many stages as each step needs.

        R_s(z) = 1 - b_s T_s(ω0) + b_s T_s(ω0 + ω1 z),   |R_s(z)| ≤ 1 for -0.653 (s² - 1) ≤ z ≤ 0

    The stages grow with the square root of step × stiffness, where those of a classical explicit method, taken in many
    small steps, grow with its first power. The stage coefficients come from recurrences of Chebyshev polynomials inside
    the compiled step, so one program serves every number of stages.

    The spectral radius is found by power iteration on Jacobian-vector products of the vector field (Hessian-vector
    products of the loss), warm-started, and multiplied by `safety`; it is estimated again after `renew_after` stages
    taken with it, and after a rejected step if the controller's owner passes `doubt` on (flowsim does; under
    `diffrax.diffeqsolve` a rejected step is tried again from the memory before it). A step for which `max_stages` are
    not enough is refused at the cost of one evaluation, with an infinite error: no step costs more than `max_stages`
    evaluations and the estimate's, however stiff the problem.

    Dense output is the cubic Hermite interpolant. Reverse-mode differentiation through a step is not supported.

    **Arguments:**

    - `safety`: factor on the estimated spectral radius.
    - `max_stages`: most stages of one step. Rounding errors grow like its square.
    - `renew_after`: stages after which the estimate of the spectral radius is renewed.

    **Reference:** Sommeijer, Shampine, Verwer (1998), J. Comput. Appl. Math. 88, 315-326: sections 2 and 3.
    """

    def order(self, terms):
        return 2

    def error_order(self, terms):
        return 3  # of the estimate, which the controller takes the root of

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        h = terms.contr(t0, t1)
        memory, cost = start_of_step(self.renew_after, terms, t0, y0, args, solver_state, made_jump)
        reach = jnp.abs(h) * memory.spectrum.radius * self.safety
        within = reach <= stability_interval(self.max_stages)  # False also where it is not a number
        stages = jnp.where(within, stages_for(jnp.where(within, reach, 0)), 0)
        y1 = chebyshev_step(lambda c, y: terms.vf(t0 + c * (t1 - t0), y, args), h, y0, memory.slope, stages)
        slope = terms.vf(t1, y1, args)

        def error(y0, y1, k0, k1):
            return jnp.where(within, 0.8 * (y0 - y1) + 0.4 * h * (k0 + k1), jnp.inf)

        estimate = jax.tree.map(error, y0, y1, memory.slope, slope)
        dense = hermite(h, y0, y1, memory.slope, slope)
        after = end_of_step(memory, slope, stages, cost + jnp.maximum(stages, 1))  # a first stage costs nothing
        return y1, estimate, dense, after, diffrax.RESULTS.successful


def stability_interval(stages: Array | int) -> Array | float:
    """Length of the interval of the negative real axis on which s stages are stable, 0.653 (s² - 1)."""
    return _STRETCH * (stages**2 - 1)


def stages_for(reach: Float[Array, ""]) -> Int[Array, ""]:
    """Fewest stages, at least 2, whose stability interval reaches so far."""
    return jnp.maximum(jnp.ceil(jnp.sqrt(1 + reach / _STRETCH)), 2).astype(jnp.int32)


def init_memory(terms, t0, y0, args) -> Memory:
    """Nothing known but the slope: the spectrum is estimated by the first step, which also counts it."""
    none = jnp.zeros((), jnp.int32)
    return Memory(terms.vf(t0, y0, args), unknown(y0), none, none)


def start_of_step(renew_after: int, terms, t0, y0, args, memory: Memory, made_jump) -> tuple[Memory, Array]:
    """The memory with slope and spectrum as they are to be used, and the evaluations that this took."""
    slope = jax.lax.cond(made_jump, lambda: terms.vf(t0, y0, args), lambda: memory.slope)
    wanted = memory.spectrum.doubted | (memory.spectrum.age >= renew_after)
    spectrum, products = refresh(memory.spectrum, lambda y: terms.vf(t0, y, args), y0, slope, wanted)
    return Memory(slope, spectrum, memory.evaluations, memory.stages), 2 * products + jnp.asarray(made_jump, jnp.int32)


def end_of_step(memory: Memory, slope: PyTree, stages, evaluations) -> Memory:
    """What the next step starts from."""
    aged = eqx.tree_at(lambda s: s.age, memory.spectrum, memory.spectrum.age + stages)
    return Memory(slope, aged, evaluations, stages)


def doubt(before: Memory, attempted: Memory) -> Memory:
    """The memory with which a rejected step is tried again.

    What was learned of the spectrum is kept. If it was not learned at this very step, it is doubted.
    """
    spectrum = attempted.spectrum
    old = (spectrum.age > attempted.stages) | spectrum.doubted
    spectrum = eqx.tree_at(lambda s: s.doubted, spectrum, old)
    return Memory(before.slope, spectrum, attempted.evaluations, attempted.stages)


def hermite(h, y0: PyTree, y1: PyTree, slope0: PyTree, slope1: PyTree) -> dict[str, PyTree]:
    """The cubic Hermite interpolant's data. Its error is O(h⁴) whatever the order of the step."""
    return {"y0": y0, "y1": y1, "k0": _tree.scale(h, slope0), "k1": _tree.scale(h, slope1)}


def chebyshev_step(field, h, y0: PyTree, slope: PyTree, stages: Int[Array, ""]) -> PyTree:
    """y after one RKC2 step of `stages` ≥ 2 stages, or y0 for 0 stages. `field(c, y)` is f at time t0 + c h."""
    omega0, omega1 = _omegas(stages, h.dtype)
    # T, T', T'' of ω0 for j = 1 and 2, and what the recurrence carries of them.
    cheb1, cheb2 = (omega0, 1.0, 0.0), (2 * omega0**2 - 1, 4 * omega0, 4.0)
    b = 1 / (4 * omega0**2)  # b_0 = b_1 = b_2
    y = jax.tree.map(lambda y, k: y + b * omega1 * h * k, y0, slope)

    def stage(_, loop):
        y, before, c, c_before, older, newer, b1, b2, a1 = loop
        b = newer[2] / newer[1] ** 2
        mu, nu, mu_h = 2 * b * omega0 / b1, -b / b2, 2 * b * omega1 / b1
        gamma_h = -a1 * mu_h
        image = field(c, y)
        rest = 1 - mu - nu
        new = jax.tree.map(
            lambda y0, y, z, k, k0: rest * y0 + mu * y + nu * z + h * (mu_h * k + gamma_h * k0),
            y0, y, before, image, slope,
        )  # fmt: skip
        c_new = mu * c + nu * c_before + mu_h + gamma_h
        return new, y, c_new, c, newer, _next(omega0, older, newer), b, b1, 1 - b * newer[0]

    def as_arrays(values):
        return tuple(jnp.asarray(v, h.dtype) for v in values)

    c = b * omega1
    loop = (y, y0, c, jnp.zeros_like(c), as_arrays(cheb1), as_arrays(cheb2), b, b, 1 - b * omega0)
    y = jax.lax.fori_loop(1, stages, stage, loop)[0]
    return jax.tree.map(lambda new, old: jnp.where(stages > 0, new, old), y, y0)


def _omegas(stages: Int[Array, ""], dtype) -> tuple[Array, Array]:
    """ω0 = 1 + ε/s² and ω1 = T_s'(ω0)/T_s''(ω0), in closed form and without cancellation in ω0 - 1."""
    s = jnp.maximum(stages, 2).astype(dtype)
    excess = DAMPING / s**2
    square = excess * (2 + excess)  # ω0² - 1
    root = jnp.sqrt(square)
    angle = s * jnp.log1p(excess + root)
    omega0 = 1 + excess
    sinh, cosh = jnp.sinh(angle), jnp.cosh(angle)
    return omega0, sinh * square / (cosh * s * root - omega0 * sinh)


def _next(x, older, newer):
    """T, T', T'' of the next degree."""
    return (
        2 * x * newer[0] - older[0],
        2 * x * newer[1] + 2 * newer[0] - older[1],
        2 * x * newer[2] + 4 * newer[1] - older[2],
    )


def affordable_stages(rtol: float, dtype) -> int:
    """Most stages whose rounding errors, which grow like s², stay below the tolerance; from 30 to 250."""
    return int(min(max(math.sqrt(rtol / (10 * float(jnp.finfo(dtype).eps))), 30), 250))
