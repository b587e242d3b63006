"""Low-storage Runge-Kutta methods: a step holds few copies of the state, whatever its number of stages."""

import math
from collections.abc import Callable
from typing import ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .dense import AbstractDense


class Scheme(eqx.Module):
    """An explicit method in two registers, with an embedded one.

    Its stages read

        Y_{i+1} = y₀ + h Σ_{j<i} b_j k_j + h a_i k_i,   y₁ = y₀ + h Σ_j b_j k_j,   ŷ₁ = y₀ + h Σ_j b̂_j k_j

    so that one running sum, y₀ + h Σ b_j k_j, and the last slope make the next stage.

    **Fields:** `order`: of y₁; that of ŷ₁ is one less. `a`: s - 1 numbers, below the diagonal of the Butcher matrix,
    whose columns are b further down; `b`, `embedded`: s weights.
    """

    order: int = eqx.field(static=True)
    a: tuple[float, ...] = eqx.field(static=True)
    b: tuple[float, ...] = eqx.field(static=True)
    embedded: tuple[float, ...] = eqx.field(static=True)

    @property
    def stages(self) -> int:
        return len(self.b)

    @property
    def nodes(self) -> tuple[float, ...]:
        """c_i, the times of the stages in units of the step."""
        return (0.0, *(sum(self.b[:i]) + a for i, a in enumerate(self.a)))


# Kennedy, Carpenter, Lewis (2000), there named RK3(2)4[2R+]C, RK4(3)5[2R+]C and RK5(4)9[2R+]S.
THIRD = Scheme(
    3,
    a=(11847461282814 / 36547543011857, 3943225443063 / 7078155732230, -346793006927 / 4029903576067),
    b=(
        1017324711453 / 9774461848756,
        8237718856693 / 13685301971492,
        57731312506979 / 19404895981398,
        -101169746363290 / 37734290219643,
    ),
    embedded=(
        15763415370699 / 46270243929542,
        514528521746 / 5659431552419,
        27030193851939 / 9429696342944,
        -69544964788955 / 30262026368149,
    ),
)
FOURTH = Scheme(
    4,
    a=(
        970286171893 / 4311952581923,
        6584761158862 / 12103376702013,
        2251764453980 / 15575788980749,
        26877169314380 / 34165994151039,
    ),
    b=(
        1153189308089 / 22510343858157,
        1772645290293 / 4653164025191,
        -1672844663538 / 4480602732383,
        2114624349019 / 3568978502595,
        5198255086312 / 14908931495163,
    ),
    embedded=(
        1016888040809 / 7410784769900,
        11231460423587 / 58533540763752,
        -1563879915014 / 6823010717585,
        606302364029 / 971179775848,
        1097981568119 / 3980877426909,
    ),
)
FIFTH = Scheme(
    5,
    a=(
        1107026461565 / 5417078080134,
        38141181049399 / 41724347789894,
        493273079041 / 11940823631197,
        1851571280403 / 6147804934346,
        11782306865191 / 62590030070788,
        9452544825720 / 13648368537481,
        4435885630781 / 26285702406235,
        2357909744247 / 11371140753790,
    ),
    b=(
        2274579626619 / 23610510767302,
        693987741272 / 12394497460941,
        -347131529483 / 15096185902911,
        1144057200723 / 32081666971178,
        1562491064753 / 11797114684756,
        13113619727965 / 44346030145118,
        393957816125 / 7825732611452,
        720647959663 / 6565743875477,
        3559252274877 / 14424734981077,
    ),
    embedded=(
        266888888871 / 3040372307578,
        34125631160 / 2973680843661,
        -653811289250 / 9267220972999,
        323544662297 / 2461529853637,
        1105885670474 / 4964345317203,
        1408484642121 / 8758221613943,
        1454774750537 / 11112645198328,
        772137014323 / 4386814405182,
        277420604269 / 1857595682219,
    ),
)


class QuarticHermite(AbstractDense):
    """The quartic that has the states and the slopes of a step's ends, and one slope between them; its error is O(h⁵).

    It is the cubic that has the former, and h · bump · x² (1 - x)², which vanishes at both ends with its slope. Slopes
    are held as they are, not times the step, so that they take no memory of their own.
    """

    t0: Float[Array, ""]
    t1: Float[Array, ""]
    y0: PyTree
    y1: PyTree
    slope0: PyTree
    slope1: PyTree
    bump: PyTree

    def at(self, t):
        h = self.t1 - self.t0
        x = (t - self.t0) / h
        cubic = _cubic(h, x, self.y0, self.y1, self.slope0, self.slope1)
        return jax.tree.map(lambda y, b: y + h * (x * (1 - x)) ** 2 * b, cubic, self.bump)


def _cubic(h, x, y0: PyTree, y1: PyTree, slope0: PyTree, slope1: PyTree) -> PyTree:
    """At the fraction x of the step."""
    rise, p, q = x**2 * (3 - 2 * x), h * x * (1 - x) ** 2, -h * x**2 * (1 - x)

    def between(y0, y1, k0, k1):
        return (1 - rise) * y0 + rise * y1 + p * k0 + q * k1  # y1 - y0 would be kept for the next time

    return jax.tree.map(between, y0, y1, slope0, slope1)


_INSIDE = 0.5 - math.sqrt(3) / 6  # where the slope of x² (1 - x)² is largest, so that it is told best


class Lean(diffrax.AbstractAdaptiveSolver):
    """A low-storage explicit Runge-Kutta method with an error estimate.

    Beside the state and the slope from which a step starts, it holds the sum that becomes the step's end, the error
    and one slope, where a method in the usual form holds the slopes of all its stages.

    The slope at the step's end is evaluated with the step, and the next step starts from it. So a step costs as many
    evaluations as it has stages, a refused one too; and one more where something is read between its ends, for a
    quartic as dense output. The cubic through the ends alone has an error of O(h⁴), more than that of the ends: of two
    runs by such methods the second would be no better between its steps, whatever its tolerance.

    **Arguments:** `finishes`: does every step give its dense output? Whoever knows which steps are read in between
    calls `finish` on those only.

    **Reference:** Kennedy, Carpenter, Lewis (2000), Appl. Numer. Math. 35, 177-219: table 1 and section 2.2.
    """

    scheme: Scheme
    finishes: bool = eqx.field(static=True, default=True)

    finishing: ClassVar[int] = 1
    kept: ClassVar[tuple[str, ...]] = ("y0", "y1", "slope0", "slope1")
    states: ClassVar[int] = 8  # the start, the registers and the carry
    in_place: ClassVar[bool] = True
    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., QuarticHermite]] = QuarticHermite

    @property
    def evaluations(self) -> int:
        """Of a step; its first slope is the last step's last."""
        return self.scheme.stages

    def order(self, terms):
        return self.scheme.order

    def error_order(self, terms):
        return self.scheme.order  # of the embedded method's local error

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)

    def init(self, terms, t0, t1, y0, args):
        return terms.vf(t0, y0, args)

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        h, scheme = t1 - t0, self.scheme
        first = jax.lax.cond(made_jump, lambda: terms.vf(t0, y0, args), lambda: solver_state)
        # The last stage's own weight takes the place of an a_s: the state after it is the step's end.
        ahead, weights = (h * jnp.asarray(x, h.dtype) for x in ((*scheme.a, scheme.b[-1]), scheme.b))
        errors = h * jnp.asarray([b - e for b, e in zip(scheme.b, scheme.embedded, strict=True)], h.dtype)
        times = t0 + h * jnp.asarray((*scheme.nodes[1:], 1.0), h.dtype)

        def stage(i, registers):
            total, error, slope = registers
            # The sum as it was is not read again, so that it is overwritten and not copied.
            error = jax.tree.map(lambda e, k: e + errors[i] * k, error, slope)
            total = jax.tree.map(lambda y, k: y + weights[i] * k, total, slope)
            state = jax.tree.map(lambda y, k: y + (ahead[i] - weights[i]) * k, total, slope)
            return total, error, terms.vf(times[i], state, args)

        registers = (y0, jax.tree.map(jnp.zeros_like, y0), first)
        y1, error, last = jax.lax.fori_loop(0, scheme.stages, stage, registers)
        dense = {"y0": y0, "y1": y1, "slope0": first, "slope1": last}
        if self.finishes:
            dense |= self.finish(terms, t0, t1, args, dense)
        return y1, error, dense, last, diffrax.RESULTS.successful

    def finish(self, terms, t0, t1, args, unfinished):
        """What the dense output of a step that was taken without it lacks."""
        h, x = t1 - t0, _INSIDE
        slope = terms.vf(t0 + x * h, _cubic(h, x, **unfinished), args)

        def bump(y0, y1, k0, k1, k):
            cubic = 6 * x * (1 - x) * (y1 - y0) / h + (1 - x) * (1 - 3 * x) * k0 + x * (3 * x - 2) * k1
            return (k - cubic) / (2 * x * (1 - x) * (1 - 2 * x))

        return {"bump": jax.tree.map(bump, *unfinished.values(), slope)}
