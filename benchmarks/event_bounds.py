"""Do event times lie within their bounds? Deep linear networks, whose modes have closed forms.

    python -m benchmarks.event_bounds [COUNT] [RTOL]

    risk(A, B) = ½ ‖B A - diag(s)‖²,  A(0) = B(0) = √s0 · I,   so that u = (B A)_ii obeys  du/dt = 2 u (s - u),
    u(t) = s / (1 + (s/s0 - 1) exp(-2 s t)),   and u = s/2 at  t = ln(s/s0 - 1) / (2 s).

Random singular values s and starts s0 from 1e-12 to 1e-1: each mode leaves the saddle when its own instability has
grown what the start and the solver's errors gave it, which is the hardest time to know.
"""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import flowsim


class Risk(eqx.Module):
    values: jax.Array

    def __call__(self, p):
        return jnp.sum((p["B"] @ p["A"] - jnp.diag(self.values)) ** 2) / 2


class Half(eqx.Module):
    """A mode's strength over half of its singular value."""

    value: jax.Array
    mode: int = eqx.field(static=True)

    def __call__(self, t, p):
        return (p["B"] @ p["A"])[self.mode, self.mode] - self.value / 2


def draw(seed):
    """(singular values, s0, t1)."""
    rng = np.random.default_rng(seed)
    values, start = np.sort(rng.uniform(0.5, 4.0, 3))[::-1], 10.0 ** rng.uniform(-12, -1)
    return values, start, float(rng.uniform(1.05, 1.5) * times(values, start).max())


def times(values, start):
    return np.log(values / start - 1) / (2 * values)


def modes(values, start, t):
    return values / (1 + (values / start - 1) * np.exp(-2 * values * t))


def simulate(values, start, t1, rtol, **options):
    p = {"A": jnp.sqrt(start) * jnp.eye(3), "B": jnp.sqrt(start) * jnp.eye(3)}
    problem = flowsim.Problem.from_loss(Risk(jnp.asarray(values)), p)
    events = [flowsim.events.crossing(f"mode{i}", Half(jnp.asarray(s), i)) for i, s in enumerate(values)]
    options = {"rtol": rtol, "atol": 1e-2 * rtol, "events": events, "save_times": np.linspace(0, t1, 40), **options}
    return flowsim.simulate(problem, t1=t1, **options)


def judge(seed, rtol=1e-8, **options):
    """(true, reported) relative error; (true, reported) error of each of the three times; cost over the plain run."""
    values, start, t1 = draw(seed)
    result = simulate(values, start, t1, rtol, certificate=True, **options)
    found = np.array([result.events[f"mode{i}"].time for i in range(3)], float)
    bounds = np.array([result.events[f"mode{i}"].uncertainty for i in range(3)], float)
    exact = jnp.diag(jnp.sqrt(modes(values, start, t1)))
    away = [result.parameters[name] - exact for name in ("A", "B")]
    moved = [exact - jnp.sqrt(start) * jnp.eye(3)] * 2
    true = float(jnp.linalg.norm(jnp.stack(away)) / jnp.linalg.norm(jnp.stack(moved)))
    cost = 1 + result.certificate.evaluations / result.solver.vector_field_evaluations
    return true, result.certificate.relative_error, np.abs(found - times(values, start)), bounds, cost


def table(rows):
    true, reported, off, bounds, cost = (np.array(column) for column in zip(*rows, strict=True))
    known = 1e-15 * 30  # the closed form's own rounding
    return {
        "relative errors": len(true),
        "  true <= reported": float(np.mean(true <= reported)),
        "  largest true / reported": float(np.max(true / reported)),
        "  reported <= 100 x true": float(np.mean(reported <= 100 * true)),
        "event times": off.size,
        "  true <= reported ": float(np.mean(off <= bounds + known)),
        "  outside": int(np.sum(off > bounds + known)),
        "  largest true / reported ": float(np.nanmax((off - known) / bounds)),
        "  reported <= 100 x true ": float(np.mean(bounds <= 100 * (off + known))),
        "  median reported / true": float(np.nanmedian(bounds / (off + known))),
        "cost over the plain run: median": float(np.median(cost)),
        "cost over the plain run: largest": float(np.max(cost)),
    }


def main(count=100, rtol=1e-8):
    jax.config.update("jax_enable_x64", True)
    rows = [judge(seed, rtol) for seed in range(count)]
    for name, value in table(rows).items():
        print(f"{name:45s} {value:.4g}")


if __name__ == "__main__":
    main(*(int(x) for x in sys.argv[1:2]), *(float(x) for x in sys.argv[2:3]))
