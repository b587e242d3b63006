"""Is the certificate honest where its premises are in doubt? Problems with closed forms that an integrator dislikes.

    python -m benchmarks.hostile [COUNT]

In turn: kinks that the flow passes or slides along; blow-ups in finite time, before and beyond it; saddles left from
1e-12; events that almost touch 0. A bound is right where it covers the true error; withheld, it is right where the
reason is the one that the problem was made for.
"""

import collections
import sys
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import flowsim

SOLVERS = ("tsit5", "dopri8", "auto")
MODES = 3  # of every problem beside what is hostile in it: they decay at rates of their own


class Case(NamedTuple):
    """A problem, how to run it, and what is true of it.

    **Fields:** `exact`: t -> the parameters; None if there are none at t1. `reason`: for which the bound may be
    withheld, "" if it must be given. `event`, `times`: one that is watched, and all its crossings.
    """

    problem: flowsim.Problem
    t1: float
    exact: object
    reason: str
    event: object = None
    times: tuple[float, ...] = ()


class Kinks(eqx.Module):
    """Σ aᵢ |x - cᵢ| + b x beside a quadratic."""

    heights: jax.Array
    places: jax.Array
    slope: float
    rates: jax.Array

    def __call__(self, p):
        return jnp.sum(self.heights * jnp.abs(p[0] - self.places)) + self.slope * p[0] + self.rates @ p[1:] ** 2 / 2


class Power(eqx.Module):
    """-x^(q + 1)/(q + 1) beside a quadratic: x' = x^q reaches infinity at x₀^(1 - q)/(q - 1)."""

    power: int = eqx.field(static=True)
    rates: jax.Array

    def __call__(self, p):
        return -(p[0] ** (self.power + 1)) / (self.power + 1) + self.rates @ p[1:] ** 2 / 2


class Products(eqx.Module):
    """Σ (sᵢ - uᵢ vᵢ)²/2: from u = v each product grows along a logistic curve."""

    goals: jax.Array

    def __call__(self, p):
        return jnp.sum((self.goals - p[0] * p[1]) ** 2) / 2


class Touch(eqx.Module):
    """(x - c)² - δ, of the first parameter."""

    level: float
    gap: float

    def __call__(self, t, p):
        return (p[0] - self.level) ** 2 - self.gap


def _decaying(rng):
    return rng.uniform(0.2, 3.0, MODES), rng.normal(size=MODES)


def _kinks(rng) -> Case:
    heights, places = rng.uniform(0.2, 1.0, 3), np.sort(rng.uniform(-1.0, 1.0, 3))[::-1]
    slides = rng.random() < 0.4
    total = heights.sum()
    # A slope beyond all heights together carries the flow through every kink; a smaller one leaves it in one of them.
    slope = rng.uniform(-0.9, 0.9) * total if slides else rng.uniform(1.1, 1.5) * total
    rates, start = _decaying(rng)
    first, t1 = rng.uniform(1.2, 2.0), rng.uniform(1.0, 4.0)

    def position(t):
        x = first
        for _ in range(len(places) + 1):
            below = places[places < x - 1e-14]
            speed = slope + np.sum(heights * np.where(np.isclose(x, places) | (x < places), -1.0, 1.0))
            if speed <= 0:  # both sides point to the kink
                return x
            left = (x - below[0]) / speed if len(below) else np.inf
            if t <= left:
                return x - speed * t
            x, t = below[0], t - left
        raise AssertionError

    problem = flowsim.Problem.from_loss(
        Kinks(*map(jnp.asarray, (heights, places)), slope, jnp.asarray(rates)), jnp.asarray([first, *start])
    )
    return Case(problem, t1, lambda t: np.array([position(t), *(start * np.exp(-rates * t))]), "kink")


def _blow_up(rng) -> Case:
    power, (rates, start) = int(rng.choice([2, 3])), _decaying(rng)
    first, beyond = rng.uniform(0.5, 2.0), rng.random() < 0.5
    end = first ** (1 - power) / (power - 1)
    t1 = end * (rng.uniform(1.1, 3.0) if beyond else 1 - 10.0 ** rng.uniform(-4, -0.5))

    def exact(t):
        return np.array([(first ** (1 - power) - (power - 1) * t) ** (-1 / (power - 1)), *(start * np.exp(-rates * t))])

    problem = flowsim.Problem.from_loss(Power(power, jnp.asarray(rates)), jnp.asarray([first, *start]))
    return Case(problem, t1, None if beyond else exact, "blow up" if beyond else "")


def _saddle(rng) -> Case:
    goals = rng.uniform(0.3, 3.0, MODES)
    start = 1e-12 * rng.uniform(0.5, 2.0, MODES)
    t1 = rng.uniform(0.6, 1.6) * np.log(goals[0] / start[0] ** 2) / (2 * goals[0])

    def exact(t):
        grown = goals / (1 + (goals / start**2 - 1) * np.exp(-2 * goals * t))
        return np.sqrt(np.stack([grown, grown]))

    problem = flowsim.Problem.from_loss(Products(jnp.asarray(goals)), jnp.asarray(np.stack([start, start])))
    return Case(problem, t1, exact, "")


def _touch(rng) -> Case:
    rates, start = _decaying(rng)
    rates[0], start[0] = rng.uniform(0.3, 1.0), rng.uniform(1.0, 2.0)
    level, t1 = start[0] * rng.uniform(0.3, 0.7), 5.0
    gap = 10.0 ** rng.uniform(-12, -2) * (1 if rng.random() < 0.7 else -1)
    places = [level + np.sqrt(gap), level - np.sqrt(gap)] if gap > 0 else []
    times = tuple(float(np.log(start[0] / x) / rates[0]) for x in places)
    problem = flowsim.Problem.from_loss(Power(2, jnp.asarray(rates)), jnp.asarray([0.0, *start]))
    event = flowsim.events.crossing("touch", _OfSecond(Touch(level, gap)))
    return Case(problem, t1, lambda t: np.array([0.0, *(start * np.exp(-rates * t))]), "", event, times)


class _OfSecond(eqx.Module):
    function: Touch

    def __call__(self, t, p):
        return self.function(t, p[1:])


MAKERS = (_kinks, _blow_up, _saddle, _touch)


class Verdict(NamedTuple):
    """**Fields:** `outcome`: `covered`, `withheld` (rightly), `warned` (of what happened), or `wrong`."""

    kind: str
    outcome: str
    true: float
    reported: float
    about: str


def judge(seed: int) -> Verdict:
    """One problem."""
    rng = np.random.default_rng(seed)
    make = MAKERS[seed % len(MAKERS)]
    case = make(rng)
    solver, rtol = str(rng.choice(SOLVERS)), 10.0 ** -int(rng.integers(4, 10))
    result = flowsim.simulate(
        case.problem, t1=case.t1, solver=solver, rtol=rtol, atol=rtol * 1e-2, save_times=[case.t1], max_steps=20_000,
        events=() if case.event is None else [case.event], certificate=True,
    )  # fmt: skip
    certificate, kind = result.certificate, make.__name__.strip("_")
    about = f"seed {seed} {solver} rtol {rtol:.0e} t1 {case.t1:.3g} {result.status.kind}"
    if certificate.withheld:
        told = " ".join(certificate.withheld)
        right = bool(case.reason) and case.reason in told
        return Verdict(kind, "withheld" if right else "wrong", np.nan, np.inf, f"{about}: {told}")
    if case.exact is None:
        return Verdict(kind, "wrong", np.inf, certificate.relative_error, about)
    exact = case.exact(result.status.time if result.status.kind == "step_limit" else case.t1)
    travelled = np.linalg.norm(exact - np.asarray(case.problem.parameters))
    true = float(np.linalg.norm(np.asarray(result.parameters) - exact) / travelled)
    outcome = "covered" if true <= certificate.relative_error else "wrong"
    verdict = Verdict(kind, outcome, true, certificate.relative_error, about)
    return verdict if case.event is None else _of_event(case, result, verdict)


def _of_event(case: Case, result: flowsim.Result, so_far: Verdict) -> Verdict:
    """Every crossing within its bound; one that was missed or invented needs a warning that says so."""
    found = result.events["touch"].crossings
    if len(found) != len(case.times):
        warned = any("touch" in warning for warning in result.certificate.warnings)
        about = f"{so_far.about}: {len(found)} crossings of {len(case.times)}"
        return so_far._replace(outcome="warned" if warned else "wrong", about=about)
    for crossing, time in zip(found, case.times, strict=True):
        apart, bound = abs(crossing.time - time), crossing.uncertainty
        if bound is None:
            return so_far._replace(outcome="warned" if result.certificate.warnings else "wrong")
        if apart > bound:
            return so_far._replace(outcome="wrong", true=apart, reported=bound, about=f"{so_far.about}: time")
    return so_far


def main(count: int = 60) -> list[Verdict]:
    jax.config.update("jax_enable_x64", True)
    verdicts = [judge(seed) for seed in range(count)]
    print(f"{'hostile problems':20}" + "".join(f"{name:>10}" for name in ("covered", "withheld", "warned", "wrong")))
    for kind in dict.fromkeys(verdict.kind for verdict in verdicts):
        found = collections.Counter(verdict.outcome for verdict in verdicts if verdict.kind == kind)
        print(f"{kind:20}" + "".join(f"{found[name]:10}" for name in ("covered", "withheld", "warned", "wrong")))
    wrong = [verdict for verdict in verdicts if verdict.outcome == "wrong"]
    for verdict in wrong:
        print(f"wrong: {verdict.kind} true {verdict.true:.2e} reported {verdict.reported:.2e} {verdict.about}")
    print(f"right: {100 * (1 - len(wrong) / len(verdicts)):.1f} % of {len(verdicts)}", flush=True)
    return verdicts


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
