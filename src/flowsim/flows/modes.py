"""A risk with kinks, mode by mode: the smooth piece, the slide along kinks, and how long they last."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from .. import _tree
from .._types import Parameters, Scalar
from ..problem import Problem
from ..problem.gates import pieces

WATCHED, SLIDING, TIED = 0.0, 1.0, 2.0
"""What a kink is in a mode: on one side of it; slid along; or slid along because the others are, with a fixed gate."""

_SOLVED = 1e-15  # relative residual to which the multipliers are solved for
_MET = 1e-6  # of the time at which a mode ends: a margin that comes to 0 so soon after is the one that ends it
_MORE = 20  # iterations beyond the number of kinks


class InMode(eqx.Module):
    """The parameters, and the mode that they move in, which only an event changes.

    **Fields:** `gates`: of every kink the slope between its sides, 0 or 1 where it is watched; `roles`: `WATCHED`,
    `SLIDING` or `TIED`; `slack`: how far beyond 0 a watched kink has to be for its side to end, rounding where it was
    just met; `crossed`, `slides`, `undecided`: so far the kinks crossed, the kinks that a slide began on, and the
    changes of mode for which no consistent side was found.
    """

    parameters: Parameters
    gates: Float[Array, "kinks"]
    roles: Float[Array, "kinks"]
    slack: Float[Array, "kinks"]
    crossed: Scalar
    slides: Scalar
    undecided: Scalar

    # Dense output, and what stands for rounding, give the numbers of a mode to rounding only.
    @property
    def watched(self) -> Bool[Array, "kinks"]:
        """Which kinks are watched."""
        return jnp.round(self.roles) == WATCHED

    @property
    def slid(self) -> Bool[Array, "kinks"]:
        """Along which kinks, independent of each other, the flow slides."""
        return jnp.round(self.roles) == SLIDING

    @property
    def sliding(self) -> Int[Array, ""]:
        """How many kinks are slid along."""
        return jnp.sum(~self.watched)


def kinks(problem: Problem, parameters: Parameters, gates: Float[Array, "kinks"]) -> Float[Array, "kinks"]:
    """z of every kink, with these gates before it."""
    return pieces(problem.risk, parameters, gates).kinks


def force(problem: Problem, parameters: Parameters, gates: Float[Array, "kinks"]) -> Parameters:
    """-∂risk of a smooth piece."""
    return _tree.scale(-1.0, jax.grad(lambda p: pieces(problem.risk, p, gates).value)(parameters))


def multipliers(
    problem: Problem, parameters: Parameters, gates: Float[Array, "kinks"], sliding: Array, pull: Parameters
) -> tuple[Float[Array, "kinks"], Parameters]:
    """μ with Z (pull - Zᵀ μ) = 0, and pull - Zᵀ μ. By conjugate gradients on Z Zᵀ, which is never formed."""
    _, push = jax.linearize(lambda p: kinks(problem, p, gates), parameters)
    transposed = jax.linear_transpose(push, parameters)

    def along(velocity):
        return jnp.where(sliding, push(velocity), 0.0)

    def across(mu):
        return transposed(jnp.where(sliding, mu, 0.0))[0]

    right = along(pull)
    mu, _ = jax.scipy.sparse.linalg.cg(lambda mu: along(across(mu)), right, tol=_SOLVED, maxiter=right.size + _MORE)
    return mu, _tree.subtract(pull, across(mu))


def shares(problem: Problem, state: InMode, places: int) -> tuple[Float[Array, "kinks"], Float[Array, "kinks"]]:
    """μ = λ c of every kink, and c: the jump of ∂risk/∂z.

    c of a layer depends on the λ of later layers, so it is exact after as many passes as there are layers.
    """
    sliding = state.slid
    pull = force(problem, state.parameters, state.gates)
    mu, _ = multipliers(problem, state.parameters, state.gates, sliding, pull)
    gates = state.gates
    for _ in range(places):
        c = jumps(problem, state.parameters, gates)
        share = mu / jnp.where(c == 0, 1.0, c)
        gates = jnp.where(sliding, jnp.clip(share, 0.0, 1.0), gates)
    return mu, c


def jumps(problem: Problem, parameters: Parameters, gates: Float[Array, "kinks"]) -> Float[Array, "kinks"]:
    """c = ∂risk/∂h times the jump of the slope of h in z, of every kink."""

    def shifted(shifts):
        found = pieces(problem.risk, parameters, gates, shifts)
        return found.value, found.jumps

    slopes, sizes = jax.grad(shifted, has_aux=True)(jnp.zeros_like(gates))
    return slopes * sizes


def rows(
    problem: Problem, parameters: Parameters, gates: Float[Array, "kinks"], which: Int[Array, "some"]
) -> Float[Array, "some parameters"]:
    """∂z of some kinks, flattened; a number beyond the last kink gives zeros."""
    _, pull = jax.vjp(lambda p: kinks(problem, p, gates), parameters)
    chosen = jax.nn.one_hot(which, gates.size, dtype=gates.dtype)
    return jax.vmap(lambda row: ravel_pytree(pull(row)[0])[0])(chosen)


def rates(problem: Problem, parameters: Parameters, gates: Float[Array, "kinks"]) -> Float[Array, "kinks"]:
    """dz/dt of every kink in the piece with these gates."""
    pull = force(problem, parameters, gates)
    return jax.jvp(lambda p: kinks(problem, p, gates), (parameters,), (pull,))[1]


def margins(problem: Problem, state: InMode, places: int) -> Float[Array, "margins"]:
    """Numbers that are positive as long as the mode lasts: three for each kink.

    **Arguments:** `places`: in how many places of the risk's program kinks are formed.
    """
    z, sliding = kinks(problem, state.parameters, state.gates), state.slid
    sides = jnp.where(state.watched, (2 * state.gates - 1) * z + state.slack, 1.0)

    def slides():
        mu, c = shares(problem, state, places)
        side = jnp.where(c < 0, -1.0, 1.0)  # below 0 for a slide that any perturbation ends, as from a symmetric start
        mu, c = side * mu, side * c
        return jnp.where(sliding, mu, 1.0), jnp.where(sliding, c - mu, 1.0)

    ones = jnp.ones_like(sides)
    return jnp.concatenate([sides, *jax.lax.cond(jnp.any(sliding), slides, lambda: (ones, ones))])


def ending(problem: Problem, t: Scalar, state: InMode, places: int) -> Int[Array, ""]:
    """The number of the kink at which the mode ends at the time `t`: the one whose margin comes to 0 there.

    Not the least margin: that may be of a kink at rest, as of a neuron that has died on its last one.
    """
    pull = force(problem, state.parameters, state.gates)
    _, velocity = multipliers(problem, state.parameters, state.gates, state.slid, pull)

    def of(parameters):
        return margins(problem, eqx.tree_at(lambda s: s.parameters, state, parameters), places)

    left, rate = jax.jvp(of, (state.parameters,), (velocity,))
    after = jnp.where(rate < 0, left / -jnp.where(rate < 0, rate, -1.0), jnp.inf)
    first = jnp.where(jnp.min(after) <= _MET * t, jnp.argmin(after), jnp.argmin(left))
    return first % state.gates.size
