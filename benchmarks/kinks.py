"""Are ReLU networks the limit of rounded ones, within the certificate, and at what cost beside tanh?

    python -m benchmarks.kinks [COUNT] [FIRST]

40 random two-layer networks (2 to 8 neurons, 3 to 10 samples, 2 to 4 features) to t = 30 at rtol 1e-6. The reference is
the flow with softplus(βz)/β in place of ReLU by SciPy's Radau method with its exact Jacobian at rtol 1e-12, at β = 1e8
and 1e9; its distance to the limit falls like log β/β, so the two are extrapolated, and a fifth of their distance is
taken as what that leaves. (At rtol 1e-10 the reference itself was off by 1e-7 for two networks of 40.) All networks
are embedded in one of 8 neurons and 10 samples by zeros, so that they share their programs.
"""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
from scipy.special import expit

import flowsim

NEURONS, SAMPLES, FEATURES = 8, 10, 4
T1, RTOL = 30.0, 1e-6


class Network(eqx.Module):
    """Half the mean squared error. Neurons and samples that only fill up have no part in it."""

    x: jax.Array
    y: jax.Array
    neurons: jax.Array  # 1 for those there are
    weights: jax.Array  # 1/n for the samples there are, else 0
    activation: object = eqx.field(static=True)

    def __call__(self, p):
        z = self.x @ p["W"].T + (self.weights == 0)[:, None]
        return jnp.sum(self.weights * (self.activation(z) @ (self.neurons * p["a"]) - self.y) ** 2) / 2


def draw(seed):
    """(x, y, w, a)."""
    random = np.random.default_rng(seed)
    neurons, samples, features = random.integers(2, 9), random.integers(3, 11), random.integers(2, 5)
    x, y = random.normal(size=(samples, features)), random.normal(size=samples)
    return x, y, random.normal(size=(neurons, features)) / np.sqrt(features), random.normal(size=neurons)


def problem(x, y, w, a, activation):
    def filled(part, *shape, rest=0.0):
        whole = np.full(shape, rest)
        whole[tuple(slice(0, n) for n in part.shape)] = part
        return jnp.asarray(whole)

    risk = Network(
        filled(x, SAMPLES, FEATURES),
        filled(y, SAMPLES),
        filled(np.ones(len(a)), NEURONS),
        filled(np.full(len(y), 1 / len(y)), SAMPLES),
        activation,
    )
    start = {"W": filled(w, NEURONS, FEATURES, rest=0.7), "a": filled(a, NEURONS)}
    return flowsim.Problem.from_loss(risk, start)


def rounded(x, y, w, a, beta):
    """The end of the flow with softplus(beta z)/beta."""
    samples, (neurons, features) = len(x), w.shape
    size = w.size

    def parts(state):
        w, a = state[:size].reshape(neurons, features), state[size:]
        z = x @ w.T
        h = np.logaddexp(0, beta * z) / beta
        return a, h, expit(beta * z), (h @ a - y) / samples

    def velocity(_, state):
        a, h, gate, r = parts(state)
        return -np.concatenate([((r[:, None] * gate * a).T @ x).ravel(), h.T @ r])

    def jacobian(_, state):
        a, h, gate, r = parts(state)
        slopes = np.concatenate([((gate * a)[:, :, None] * x[:, None, :]).reshape(samples, size), h], axis=1)
        hessian = slopes.T @ slopes / samples
        bend = r[:, None] * a * beta * gate * (1 - gate)
        for j in range(neurons):
            own, out = slice(j * features, (j + 1) * features), size + j
            hessian[own, own] += (x * bend[:, j : j + 1]).T @ x
            cross = x.T @ (r * gate[:, j])
            hessian[own, out] += cross
            hessian[out, own] += cross
        return -hessian

    options = {"method": "Radau", "jac": jacobian, "rtol": 1e-12, "atol": 1e-15}
    run = scipy.integrate.solve_ivp(velocity, (0, T1), np.concatenate([w.ravel(), a]), **options)
    assert run.success, run.message
    return run.y[:, -1]


def measure(seed):
    parts = draw(seed)
    x, _, w, a = parts
    options = {"t1": T1, "rtol": RTOL, "atol": 1e-2 * RTOL, "save_times": [0.0, T1]}
    follow = flowsim.flows.gradient(kinks="follow")
    result = flowsim.simulate(problem(*parts, jax.nn.relu), flow=follow, certificate=True, **options)
    tanh = flowsim.simulate(problem(*parts, jnp.tanh), **options)
    near, nearer = (rounded(*parts, beta) for beta in (1e8, 1e9))
    limit, unknown = nearer + (nearer - near) / 9, np.linalg.norm(nearer - near) / 5
    end = np.concatenate([np.ravel(result.parameters["W"][: len(a), : x.shape[1]]), result.parameters["a"][: len(a)]])
    travelled = np.linalg.norm(end - np.concatenate([w.ravel(), a]))
    return {
        "size": f"{len(a)}x{len(x)}x{x.shape[1]}",
        "status": result.status.kind,
        "distance": np.linalg.norm(end - limit),
        "bound": result.certificate.relative_error * travelled,
        "unknown": unknown,
        "steps": result.solver.steps + result.solver.rejected,
        "tanh": tanh.solver.steps + tanh.solver.rejected,
        "kinks": result.solver.kinks,
        "warnings": len(result.certificate.warnings),
    }


def main(count: int = 40, first: int = 0):
    jax.config.update("jax_enable_x64", True)
    print(
        "seed size      status  distance    bound  limit's  steps  tanh  ratio  passed slides at end undecided warnings"
    )
    found = []
    for seed in range(first, first + count):
        row = measure(seed)
        found.append(row)
        k = row["kinks"]
        print(
            f"{seed:4d} {row['size']:9s} {row['status']:6s} {row['distance']:9.1e} {row['bound']:8.1e} "
            f"{row['unknown']:8.1e} {row['steps']:6d} {row['tanh']:5d} {row['steps'] / row['tanh']:6.2f} "
            f"{k.crossed:7d} {k.slides:6d} {k.sliding:6d} {k.undecided:9d} {row['warnings']:8d}",
            flush=True,
        )
    bounded = [row for row in found if np.isfinite(row["bound"])]
    within = sum(row["distance"] <= row["bound"] + row["unknown"] for row in bounded)
    strictly = sum(row["distance"] <= row["bound"] for row in bounded)
    done = sum(row["status"] == "done" for row in found)
    ratios = [row["steps"] / row["tanh"] for row in found]
    print(
        f"{done} of {len(found)} done; {len(bounded)} with a bound, {strictly} within it, {within} within it and the "
        f"unknown of the limit; "
        f"steps over tanh's: median {np.median(ratios):.2f}, largest {max(ratios):.2f}; "
        f"{sum(row['kinks'].sliding > 0 for row in found)} slide at the end"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
