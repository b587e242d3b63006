"""The statistics behind verdicts over many runs."""

import numpy as np
import pytest
from scipy.stats import norm

from flowsim import claims
from flowsim.claims import scaling


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (97, 100)])
def test_wilson_interval_solves_its_equation(successes, trials):
    """Its ends are the probabilities p with |successes/trials - p| = z √(p(1-p)/trials)."""
    z, share = norm.ppf(0.975), successes / trials
    for end in claims.wilson(successes, trials):
        np.testing.assert_allclose((share - end) ** 2, z**2 * end * (1 - end) / trials, atol=1e-12)


def test_common_slope_finds_an_exponent_through_shifts():
    rng = np.random.default_rng(0)
    x = np.tile(np.log([1.0, 10.0, 100.0, 1e3]), 5)
    group = np.repeat(np.arange(5), 4)
    y = -1.5 * x + 3.0 * group + 0.01 * rng.normal(size=20)
    slope, half = scaling.common_slope(x, y, group)
    assert abs(slope + 1.5) < 3 * half
    assert half < 0.01
