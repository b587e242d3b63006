"""How the coefficients of the fourth-order stabilized method are made: `python -m flowsim.solvers._rock4_design`.

The method's stability polynomial is R(z) = w(x) P(x), x = 1 + z/d, where w has two complex pairs of roots and P is
orthogonal on [-1, 1] for the weight w²/√(1 - x²), so that w P ripples evenly there. Roots, d and the height of the
ripples solve five equations: R(z) = e^z + O(z⁵), and ripples of at most 0.8 (0.95 is customary; the stronger damping
costs 2 % of the interval and saves rejected steps on a transformer's flow). P is realised by its three-term recurrence,
w by four classical stages that complete the order conditions of all eight trees up to order four.

**Reference:** Abdulle (2002), SIAM J. Sci. Comput. 23, 2041-2054. The coefficients here are solved for anew.
"""

import pathlib

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import root

TABLE = pathlib.Path(__file__).with_name("rock4.npz")
RIPPLE = 0.8
MOST_STAGES = 250
_FACTORIAL = np.array([1.0, 1.0, 2.0, 6.0, 24.0])
_START = np.array(
    [-2.46, 1.30, -0.30, 3.53, np.log(0.35 * 24**2 / 2)]
)  # Re, Im of either root in z, log d; at 24 stages
_ENTRIES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
# Σ over the weights of τ, [τ], [τ,τ], [[τ]], [τ,τ,τ], [τ,[τ]], [[τ,τ]], [[[τ]]] at order four.
GOAL = np.array([1, 1 / 2, 1 / 3, 1 / 6, 1 / 4, 1 / 8, 1 / 12, 1 / 24])


def weight(x, unknowns):
    """w(x), scaled to 1 at x = 1."""
    d = np.exp(unknowns[4])
    factors = [((x - 1 - re / d) ** 2 + (im / d) ** 2) / ((re / d) ** 2 + (im / d) ** 2) for re, im in _pairs(unknowns)]
    return factors[0] * factors[1]


def _pairs(unknowns):
    return unknowns[0:2], unknowns[2:4]


def recurrence(count: int, unknowns) -> np.ndarray:
    """(μ, ν) of P_{k+1} = (μ z + ν) P_k + (1 - ν) P_{k-1}, with P_k = 1 at z = 0, for k < count."""
    d, points = np.exp(unknowns[4]), 2 * count + 24  # Gauss-Chebyshev quadrature is exact
    x = np.cos((np.arange(points) + 0.5) * np.pi / points)
    density = weight(x, unknowns) ** 2
    density /= density.max()
    before, now, norm_before, rows = np.zeros(points), np.ones(points), 1.0, []
    for k in range(count):
        norm = np.sum(density * now**2)
        a = np.sum(density * x * now**2) / norm
        b = np.sum(density * x * now * before) / norm_before if k else 0.0
        scale = 1 - a - b
        before, now, norm_before = now, ((x - a) * now - b * before) / scale, norm
        rows.append((1 / (d * scale), (1 - a) / scale))
    return np.array(rows)


def taylor(count: int, unknowns) -> np.ndarray:
    """Coefficients of R(z) up to z⁴."""
    before, now = np.zeros(5), np.eye(5)[0]
    for mu, nu in recurrence(count, unknowns):
        shifted = np.concatenate([[0.0], now[:-1]])
        before, now = now, mu * shifted + nu * now + (1 - nu) * before
    for re, im in _pairs(unknowns):
        square = re**2 + im**2
        now = np.convolve(now, [1.0, -2 * re / square, 1 / square])[:5]
    return now


def polynomial(count: int, unknowns, z) -> np.ndarray:
    """R(z)."""
    before, now = np.zeros_like(z), np.ones_like(z)
    for mu, nu in recurrence(count, unknowns):
        before, now = now, (mu * z + nu) * now + (1 - nu) * before
    return now * weight(1 + z / np.exp(unknowns[4]), unknowns)


def _height(count: int, unknowns) -> float:
    """The highest ripple: |R| after it has first come down."""
    x = np.cos(np.linspace(0, np.pi, 24 * (count + 8)))
    size = np.abs(polynomial(count, unknowns, (x - 1) * np.exp(unknowns[4])))
    return float(np.max(size[np.argmax(np.diff(size) > 0) :]))


def _equations(unknowns, count):
    return np.array([*(taylor(count, unknowns) * _FACTORIAL - 1)[1:], _height(count, unknowns) / RIPPLE - 1])


def _of_slope(a):
    """Weights of f(y) from those of y."""
    return np.array([1.0, a[0], a[0] ** 2, a[1], a[0] ** 3, a[0] * a[1], a[2], a[3]])


def prefix_weights(rows) -> np.ndarray:
    """Weights of the eight trees after the recurrence."""
    before, now = np.zeros(8), np.zeros(8)
    for mu, nu in rows:
        before, now = now, mu * _of_slope(now) + nu * now + (1 - nu) * before
    return now


def finish(parameters, start) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the four last slopes, and of the result."""
    slopes: list[np.ndarray] = []
    for i in range(4):
        inner = [parameters[k] * slopes[j] for k, (row, j) in enumerate(_ENTRIES) if row == i]
        slopes.append(_of_slope(start + sum(inner, np.zeros(8))))
    return np.array(slopes), start + parameters[6:] @ np.array(slopes)


def _solve_finish(start, parameters) -> np.ndarray:
    """Gauss-Newton steps of least norm: eight conditions, ten coefficients."""

    def residual(p):
        return finish(p, start)[1] - GOAL

    for _ in range(50):
        columns = [(residual(parameters + 1e-6 * e) - residual(parameters - 1e-6 * e)) / 2e-6 for e in np.eye(10)]
        change = np.linalg.lstsq(np.transpose(columns), -residual(parameters), rcond=1e-12)[0]
        parameters = parameters + change * min(1.0, 0.3 / max(np.abs(change).max(), 1e-300))
    assert np.abs(residual(parameters)).max() < 1e-13
    return parameters


def _embedded(parameters, rows) -> np.ndarray:
    """Weights of the slope at the recurrence's last stage but one, and of the four last slopes, in the error estimate.

    It vanishes up to order three. The slope at the step's end, the usual fifth, would multiply stiff components by z;
    these five are damped where z is large.
    """
    slopes, _ = finish(parameters, prefix_weights(rows))
    slopes = np.vstack([_of_slope(prefix_weights(rows[:-1])), slopes])
    weights = null_space(slopes[:, [0, 1, 2, 3]].T)[:, 0]
    # The scale is free. The estimate of y' = λy is z⁴/24 times this many, in line with other pairs of its order.
    return weights / (weights @ slopes[:, 7]) / 24 * _SCALE


_SCALE = 0.25


def degrees() -> list[int]:
    """Every number of stages up to 24, then about 6 % apart."""
    found = list(range(5, 25))
    while found[-1] < MOST_STAGES:
        found.append(min(max(found[-1] + 1, round(found[-1] * 1.06)), MOST_STAGES))
    return found


def design() -> dict[str, np.ndarray]:
    """The table of coefficients."""
    solved, unknowns, parameters = {}, _START, None
    last = 24
    for stages in [*range(24, 4, -1), *(s for s in degrees() if s > 24)]:
        if stages > 24 and last < 24:
            last, unknowns, parameters = 24, solved[24][0], solved[24][1]
        guess = unknowns + np.array([0, 0, 0, 0, 2 * np.log(stages / last)])
        found = root(_equations, guess, args=(stages - 4,), method="lm", options={"xtol": 1e-14, "ftol": 1e-15})
        unknowns, last = found.x, stages
        assert np.abs(found.fun).max() < 1e-10, (stages, found.fun)
        start = prefix_weights(recurrence(stages - 4, unknowns))
        if parameters is None:
            rest = 1 - start[0]
            parameters = rest * np.array([0.5, 0, 0.5, 0, 0, 1, 1 / 6, 1 / 3, 1 / 3, 1 / 6])
        parameters = _solve_finish(start, parameters)
        solved[stages] = unknowns, parameters
    rows = [recurrence(s - 4, solved[s][0]) for s in degrees()]
    return {
        "stages": np.array(degrees()),
        "interval": np.array([2 * np.exp(solved[s][0][4]) for s in degrees()]),
        "offset": np.cumsum([0, *(len(r) for r in rows[:-1])]),
        "recurrence": np.concatenate(rows),
        "finish": np.array([solved[s][1] for s in degrees()]),
        "error": np.array([_embedded(solved[s][1], recurrence(s - 4, solved[s][0])) for s in degrees()]),
    }


if __name__ == "__main__":
    np.savez_compressed(TABLE, **design())  # pyright: ignore[reportArgumentType]
