"""Kinks of the velocity, as the error test sees them.

Where the velocity is smooth, the error of a step of size h falls like h^q with the method's order q, and a step that is
refused is refused once: the controller knows by how much to shorten it. Across a kink (of a ReLU, an absolute value, a
clipped gradient) the velocity jumps by some Δ and the error is about h Δ, whatever the order: steps are refused again
and again until h Δ is below the tolerance. So tries that start at one place are compared, and those whose error fell
with an order below 3/2 are counted. One may be an accident; several within a few tries are a kink.

Reference: Hairer, Nørsett, Wanner (1993), Solving Ordinary Differential Equations I, section II.6, on discontinuities.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from .._types import Scalar
from .carry import Carry, Plan, Roughness

MARK = 2000  # tries between two marks
_LOW = 1.5  # an order at which an error falls across a kink
_FORGET = 0.8  # of the score that is left after another try
_KINK = 2.0  # the score from which on it is a kink; 3 tries in a row are 2.44
_AGAIN = 0.5  # the score below which another kink can be told from the last


def none_yet(zero: Scalar) -> Roughness:
    """At the start of a run."""
    count = jnp.zeros((), int)
    return Roughness(zero, zero, zero, jnp.ones((), bool), count, zero, count, zero, count)


def noted(
    carry: Carry, method, size: Scalar, end, error, *, usable: Bool[Array, ""], accept: Bool[Array, ""]
) -> Roughness:
    """After a try from where the loop stands.

    **Arguments:** `size`, `end`, `error`: of the try; `usable`: is its error one to judge by?
    """
    before, clock, tries = carry.roughness, carry.clock, carry.steps + carry.rejected
    if method.controller is None:
        return before
    wanted = usable & (~accept | (before.size > 0))
    norm = jax.lax.cond(
        wanted, lambda: _size(method.controller, carry.state, end, error), lambda: jnp.zeros_like(before.error)
    )
    comparable = wanted & (before.size > 0) & (size < 0.95 * before.size) & (norm > 0)
    ratio = jnp.where(comparable, norm / before.error, 1.0)
    order = jnp.log(ratio) / jnp.log(jnp.where(comparable, size / before.size, 0.5))
    low = comparable & (order < min(_LOW, method.solver.error_order(None) / 2))
    score = _FORGET * before.score + low
    met = before.armed & (score >= _KINK)
    refused = usable & ~accept
    marks, low_tries = (tries + 1) % MARK == 0, before.low_tries + low
    return Roughness(
        error=jnp.where(refused, norm, 0.0),
        size=jnp.where(refused, size, 0.0),
        score=score,
        armed=jnp.where(met, False, before.armed | (score < _AGAIN)),
        kinks=before.kinks + met,
        low_tries=low_tries,
        first=jnp.where(met & (before.kinks == 0), clock.value, before.first),
        mark_time=jnp.where(marks, clock.value, before.mark_time),
        mark_low=jnp.where(marks, low_tries, before.mark_low),
    )


def _size(controller, start, end, error) -> Scalar:
    """The error test's own norm of a try's error."""

    def scaled(error, a, b):
        return error / (controller.atol + controller.rtol * jnp.maximum(jnp.abs(a), jnp.abs(b)))

    return controller.norm(jax.tree.map(scaled, error, start, end))


_JUDGED = 1000  # tries since the last mark
_OFTEN = 0.1  # of them, with an error of a kink's order: then nothing else holds the steps back


def slides(carry: Carry, plan: Plan, left: int) -> bool:
    """Does the flow meet one kink after another, so slowly that the tries left do not bring it to the end?

    That is what an explicit method makes of a flow that slides along a kink, where the velocities of both sides point
    to it.
    """
    rough, tries = carry.roughness, int(carry.steps) + int(carry.rejected)
    if int(rough.kinks) == 0:
        return False
    counts = int(rough.low_tries) - int(rough.mark_low)
    return bool(too_slow(tries, counts, carry.clock.to_host(), float(rough.mark_time), plan.end.to_host(), left))


def too_slow(tries, low, now, mark_time, end, left):
    """The same of a flow that has met kinks; of numbers or of arrays.

    **Arguments:** `low`: tries since the last mark, at `mark_time`, with an error of a kink's order.
    """
    since = tries % MARK
    often = low >= _OFTEN * since
    to_come = (now - mark_time) / (since + (since == 0)) * left
    return (since >= _JUDGED) & (now + to_come * (10 - 9 * often) < end)
