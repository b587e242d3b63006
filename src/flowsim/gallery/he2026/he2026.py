"""He, Wang, Chen, Yang (2026): feature learning on modular addition, one neuron and one frequency."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field
from scipy.integrate import quad

import flowsim
from flowsim.claims import Finding, agrees, all_of, equals

SOURCE = "He, Wang, Chen, Yang 2026, arXiv 2602.16849"


@flowsim.kind("problem", "he2026")
class He2026(flowsim.config.ProblemKind):
    """The Fourier coefficients z (input) and w (output) of a neuron at one frequency: minimize -(1/p) Re(z² w̄).

    z = α e^(iφ), w = β e^(iψ) start with the given α, β and D = 2φ - ψ, φ random; every entry of `starts` is a
    frequency of its own, and the risk is the sum over them. It has no lower bound: the flow blows up in finite time.
    """

    p: float = Field(default=7.0, gt=0, description="The modulus p.")
    starts: tuple[tuple[float, float, float], ...] = Field(
        default=((0.10, 0.10, 0.3), (0.10, 0.10, 1.3), (0.10, 0.10, 2.6)),
        min_length=1,
        description="(α, β, D) at t = 0 of every frequency.",
    )
    radius: float = Field(default=1e4, gt=0, description="√(α² + β²) at which the run is stopped.")
    cubic: float = Field(default=0.0, description="Adds cubic (α² + β²)² to the risk: breaks its homogeneity.")

    def problem(self, key):
        alpha, beta, D = (jnp.asarray(column) for column in zip(*self.starts, strict=True))
        phi = jax.random.uniform(key, alpha.shape, maxval=2 * jnp.pi)
        psi = 2 * phi - D
        z = alpha * jnp.stack([jnp.cos(phi), jnp.sin(phi)])
        w = beta * jnp.stack([jnp.cos(psi), jnp.sin(psi)])

        def risk(x):
            size = jnp.sum(x["z"] ** 2, axis=0) + jnp.sum(x["w"] ** 2, axis=0)
            return jnp.sum(-aligned(x) / self.p + self.cubic * size**2)

        return flowsim.Problem.from_loss(risk, {"z": z, "w": w})

    def start_size(self):
        return min((size for alpha, beta, _ in self.starts for size in (alpha, beta) if size), default=None)

    def claims(self, key):
        orbits = [Orbit(*start, self.p) for start in self.starts]
        events = [
            flowsim.events.crossing(
                f"diverges_{k}",
                functools.partial(_beyond, k, self.radius),
                direction="up",
                terminal=True,
                description=f"frequency {k} grows beyond {self.radius:g}: the flow blows up in finite time",
            )
            for k in range(len(orbits))
        ]
        probes = {
            "beta": lambda x: jnp.sqrt(jnp.sum(x["w"] ** 2, axis=0)),
            "size": lambda x: jnp.sum(x["z"] ** 2, axis=0) - 2 * jnp.sum(x["w"] ** 2, axis=0),
            "twist": twisted,
        }
        return self._orbits(functools.partial(flowsim.claim, source=SOURCE, probes=probes, events=events), orbits)

    def _orbits(self, make, orbits):
        @make(
            id="conserved quantities",
            rule="within 10 error bands of their start at all saved times but the last five, where one diverges",
        )
        def invariants(evidence):
            """α² - 2β² and α²β sin D are conserved."""
            early = float(evidence.dataset.time.values[-6])
            scale = 1e4 * max(max(a, b) for a, b, _ in self.starts) ** 2
            start = {name: evidence.value(name, at=0.0).value for name in ("size", "twist")}
            return all_of(
                agrees(evidence, name, lambda t, v=value: np.broadcast_to(v, (len(t), len(v))), scale=size, end=early)
                for (name, value), size in zip(start.items(), (scale, scale**1.5), strict=True)
            )

        @make(
            id="path",
            rule="within 10 error bands of its inverse at every saved time before 95 % of the time to the blow-up",
        )
        def path(evidence):
            """β(t) solves (β²)' = (2/p) √((c + 2β²)² β² - E²) cos D/|cos D|: an elliptic integral."""
            time, curve = evidence.curve("beta", 0.0, 0.95 * evidence.end)
            exact = np.stack([orbit.beta(time, curve.value[:, k]) for k, orbit in enumerate(orbits)], axis=1)
            return agrees(evidence, "beta", exact, end=0.95 * evidence.end)

        @make(
            id="blow-up time",
            rule="the first frequency beyond `radius` is the predicted one, within 10 error bounds of its time",
        )
        def blow_up(evidence):
            """The flow blows up in finite time, and the frequency with the earliest blow-up wins."""
            winner = int(np.argmin([orbit.blow_up for orbit in orbits]))
            time = evidence.time(f"diverges_{winner}")
            reached = float(orbits[winner].time(np.sqrt((self.radius**2 - orbits[winner].size) / 3)))
            found = equals(time, reached)
            measured = {"predicted blow-up time": orbits[winner].blow_up, "winner": float(winner)}
            return Finding({**found.measured, **measured}, found.conditions, errors=found.errors)

        return [invariants, path, blow_up]


def aligned(x):
    """Re(z² w̄) of every frequency."""
    (a, b), (c, d) = x["z"], x["w"]
    return (a**2 - b**2) * c + 2 * a * b * d


def twisted(x):
    """Im(z² w̄) = α²β sin D of every frequency."""
    (a, b), (c, d) = x["z"], x["w"]
    return 2 * a * b * c - (a**2 - b**2) * d


def _beyond(k, radius, t, x):
    return jnp.sum(x["z"][:, k] ** 2) + jnp.sum(x["w"][:, k] ** 2) - radius**2


class Orbit:
    """The exact path of one frequency: β² = B* + X², X' = √P(B)/p, where q = (c + 2B)² B - E² = (B - B*) P(B).

    X increases, from below 0 where β first shrinks to its turning point √B*.
    """

    def __init__(self, alpha, beta, D, p):
        self.p, self.size = p, alpha**2 - 2 * beta**2
        E2, B0 = (alpha**2 * beta * np.sin(D)) ** 2, beta**2
        c = self.size
        roots = np.roots([4.0, 4 * c, c**2, -E2])
        real = roots[np.abs(roots.imag) < 1e-6 * (1 + np.abs(roots.real))].real
        turn = float(np.max(real[real <= B0 * (1 + 1e-9)]))
        for _ in range(50):  # Newton's method from the companion matrix's root
            slope = 12 * turn**2 + 8 * c * turn + c**2
            turn -= (4 * turn**3 + 4 * c * turn**2 + c**2 * turn - E2) / slope if slope else 0.0
        self.turn = min(turn, B0)
        b1 = 4 * c + 4 * self.turn
        self.polynomial = (4.0, b1, c**2 + self.turn * b1)
        # From X X' = β β', as √(B0 - B*) loses half its digits where the start is near the turning point.
        self.start = float(alpha**2 * beta * np.cos(D) / np.sqrt(np.polyval(self.polynomial, B0)))
        self.blow_up = self._elapsed(np.inf)

    def rate(self, X):
        """dX/dt."""
        B = self.turn + X**2
        return np.sqrt(np.polyval(self.polynomial, B)) / self.p

    def time(self, beta):
        """When β is passed on the way up."""
        return self._elapsed(np.sqrt(max(beta**2 - self.turn, 0.0)))

    def beta(self, times, guess):
        """β(t), by Newton's method on the elapsed time from a guess of β at every time."""
        found = []
        for t, b in zip(times, guess, strict=True):
            X = float(np.sqrt(max(b**2 - self.turn, 0.0))) * (-1 if t < self._elapsed(0.0) else 1)
            for _ in range(3):
                X += (t - self._elapsed(X)) * self.rate(X)
            found.append(np.sqrt(self.turn + X**2))
        return np.array(found)

    def _elapsed(self, X):
        # full_output: no warning where 1e-13 is beyond rounding
        return quad(lambda x: 1 / self.rate(x), self.start, X, epsabs=0, epsrel=1e-13, limit=200, full_output=1)[0]
