"""The clock against exact fractions."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np

from flowsim.simulation import Clock


def exact(clock):
    return Fraction(float(clock.high)) + Fraction(float(clock.low))


def test_steps_far_below_the_last_digit_of_time_add_up():
    step, count, start = jnp.asarray(1e-7, jnp.float32), 20_000, Clock.at(3.0, jnp.float32)
    end = jax.jit(lambda c: jax.lax.fori_loop(0, count, lambda _, c: c.advance(step), c))(start)
    moved = count * Fraction(float(step))
    assert abs(exact(end) - 3 - moved) < moved / 10**6
    np.testing.assert_allclose(start.until(end), float(moved), rtol=1e-6)


def test_what_lies_between_two_clocks():
    """Their low parts count: the two differ by less than a digit of the high ones."""
    here, there = Clock.at(1.0 + 1e-9, jnp.float32), Clock.at(1.0 + 4e-9, jnp.float32)
    assert here.high == there.high
    np.testing.assert_allclose(here.until(there), 3e-9, rtol=1e-6)
    assert here.to_host() == 1.0 + np.float64(np.float32(1e-9))
