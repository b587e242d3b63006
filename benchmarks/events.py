"""Random event problems with known answers: is any crossing missed, doubled, out of order, or late?

    python -m benchmarks.events [COUNT]

Each problem is the gradient flow of a random quadratic (x(t) = exp(-A t) x0) with five events: a sine, two polynomials
in t and two linear functions of the state. Among the roots are exact zeros at t = 0, pairs of events down to 1e-6
apart, and double crossings of one event down to 1e-6 apart, inside one step.
"""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

import flowsim

T1, SIZE = 10.0, 4


class Quadratic(eqx.Module):
    matrix: jax.Array

    def __call__(self, x):
        return x @ self.matrix @ x / 2


class Sine(eqx.Module):
    omega: jax.Array
    phase: jax.Array
    offset: jax.Array

    def __call__(self, t, x):
        return jnp.sin(self.omega * t + self.phase) - self.offset


class Polynomial(eqx.Module):
    roots: jax.Array

    def __call__(self, t, x):
        return jnp.prod(t - self.roots)


class Linear(eqx.Module):
    weights: jax.Array
    level: jax.Array

    def __call__(self, t, x):
        return self.weights @ x - self.level


def draw(rng):
    """One problem: (problem, [(event, exact crossing times)])."""
    rotation = np.linalg.qr(rng.normal(size=(SIZE, SIZE)))[0]
    rates, start = rng.uniform(0.05, 2.0, SIZE), rng.normal(size=SIZE)
    matrix = rotation @ np.diag(rates) @ rotation.T
    problem = flowsim.Problem.from_loss(Quadratic(jnp.asarray(matrix)), jnp.asarray(start))
    omega, phase, offset = rng.uniform(0.5, 12), rng.choice([0.0, rng.uniform(0, 6)]), rng.uniform(-0.9, 0.9)
    if phase == 0.0:
        offset = 0.0  # an exact zero at t = 0
    first = polynomial_roots(rng)
    second = np.sort(np.append(first[:1] + 10.0 ** rng.uniform(-6, -2), rng.uniform(0, T1, 3)))
    answers = [
        (Sine(*map(jnp.asarray, (omega, phase, offset))), sine_roots(omega, phase, offset)),
        (Polynomial(jnp.asarray(first)), inside(first)),
        (Polynomial(jnp.asarray(second)), inside(second)),
    ]
    for _ in range(2):
        weights = rng.normal(size=SIZE)

        def path(t, w=weights):
            return w @ rotation @ (np.exp(-rates * t) * (rotation.T @ start))

        level = path(rng.uniform(0.2, 4.0))
        answers.append((Linear(jnp.asarray(weights), jnp.asarray(level)), linear_roots(path, level)))
    return problem, answers


def polynomial_roots(rng):
    """Four roots: sometimes one at t = 0, sometimes two close together."""
    roots = rng.uniform(0.3, T1 - 0.3, 4)
    if rng.random() < 0.3:
        roots[0] = 0.0
    if rng.random() < 0.6:
        roots[2] = roots[1] + 10.0 ** rng.uniform(-6, -1)
    return np.sort(roots)


def inside(roots):
    return np.array([r for r in roots if 0 <= r <= T1])


def sine_roots(omega, phase, offset):
    k = np.arange(-5, 60)
    base = np.arcsin(offset)
    times = np.concatenate([(base + 2 * np.pi * k - phase) / omega, (np.pi - base + 2 * np.pi * k - phase) / omega])
    return np.sort(times[(times >= 0) & (times <= T1)])


def linear_roots(path, level):
    grid = np.linspace(0, T1, 20001)
    value = np.array([path(t) - level for t in grid])
    where = np.flatnonzero(np.sign(value[:-1]) * np.sign(value[1:]) < 0)
    roots = [brentq(lambda t: path(t) - level, grid[i], grid[i + 1], xtol=1e-15) for i in where]
    slope = [abs(path(r + 1e-6) - path(r - 1e-6)) / 2e-6 for r in roots]
    # A graze cannot be timed better than the solution is known: such problems have no sharp answer.
    close = np.min(
        np.abs(np.diff(np.sign(np.diff(value))) * value[1:-1]),
        initial=np.inf,
        where=np.diff(np.sign(np.diff(value))) != 0,
    )
    return np.array(roots) if all(s > 1e-2 for s in slope) and close > 1e-3 else None


def judge(seed, rtol=1e-10, solver="dopri8"):
    """(missed, extra, out of order, largest relative time error) of one problem."""
    rng = np.random.default_rng(seed)
    while True:
        problem, answers = draw(rng)
        if all(times is not None for _, times in answers):
            break
    events = [flowsim.events.crossing(f"e{i}", function) for i, (function, _) in enumerate(answers)]
    order = []
    result = flowsim.simulate(
        problem, t1=T1, solver=solver, rtol=rtol, atol=rtol * 1e-2, events=events, save_times=[0.0, T1],
        progress=lambda chunk: order.extend(chunk.crossings),
    )  # fmt: skip
    missed = extra = 0
    error = 0.0
    for i, (_, times) in enumerate(answers):
        found = np.array(result.events[f"e{i}"].times)
        missed += max(len(times) - len(found), 0)
        extra += max(len(found) - len(times), 0)
        if len(times) == len(found) and len(times):
            error = max(error, np.max(np.abs(found - times) / np.maximum(times, 1e-2)))
    seen = [crossing.time for crossing in order]
    return missed, extra, int(np.any(np.diff(seen) < 0)), error


def main(count=500):
    jax.config.update("jax_enable_x64", True)
    rows = np.array([judge(seed) for seed in range(count)])
    print(f"{count} problems, rtol 1e-10: missed {int(rows[:, 0].sum())}, doubled or invented {int(rows[:, 1].sum())}, "
          f"out of order {int(rows[:, 2].sum())}")  # fmt: skip
    print(f"relative time error: median {np.median(rows[:, 3]):.1e}, largest {rows[:, 3].max():.1e}")
    bad = np.flatnonzero((rows[:, :3].sum(1) > 0) | (rows[:, 3] > 1e-10))
    print("seeds to look at:", bad.tolist())
    return rows


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
