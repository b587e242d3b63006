"""Cohen, Kaur, Li, Kolter, Talwalkar (ICLR 2021): gradient descent at the edge of stability."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from pydantic import Field

import flowsim
from flowsim.claims import Finding, Measured, all_of

SOURCE = "Cohen, Kaur, Li, Kolter, Talwalkar, ICLR 2021"


@flowsim.kind("problem", "cohen2021")
class Cohen2021(flowsim.config.ProblemKind):
    """Two-layer tanh network on a smooth target of one variable, squared loss; descent at several learning rates.

    The sharpness is the largest eigenvalue of the Hessian, all of which is formed.
    """

    samples: int = Field(default=8, ge=2, description="Points, evenly spaced in [-1, 1].")
    hidden: int = Field(default=5, ge=1, description="Hidden neurons.")
    frequency: float = Field(default=3.0, gt=0, description="The target is sin(frequency · x).")
    scale: float = Field(default=0.3, gt=0, description="Scale of the initial weights.")
    edges: tuple[float, ...] = Field(
        default=(1.5,), min_length=1, description="2/η of every descent, over the sharpness at the start."
    )
    slowdown: float = Field(default=1.0, gt=0, description="Factor on the steps of descent: breaks the edge.")
    quadratic: bool = Field(default=False, description="Linear neurons: the Hessian is nearly constant.")

    def problem(self, key):
        x = jnp.linspace(-1.0, 1.0, self.samples)
        y = jnp.sin(self.frequency * x)
        w, b, a = (self.scale * jax.random.normal(k, (self.hidden,)) for k in jax.random.split(key, 3))

        def risk(p):
            hidden = p["w"] * x[:, None] + p["b"]
            active = hidden if self.quadratic else jnp.tanh(hidden)
            return 0.5 * jnp.mean((active @ p["a"] - y) ** 2)

        return flowsim.Problem.from_loss(risk, {"w": w, "b": b, "a": a})

    def claims(self, key):
        problem = self.problem(key)

        def sharpness(p):
            flat, back = ravel_pytree(p)
            return jnp.linalg.eigvalsh(jax.hessian(lambda v: problem.risk(back(v)))(flat))[-1]

        first = float(sharpness(problem.parameters))
        names = {f"edge_{k}": 2 / (edge * first) for k, edge in enumerate(self.edges)}
        events = [
            flowsim.events.crossing(name, functools.partial(_edge, sharpness, eta), direction="up")
            for name, eta in names.items()
        ]
        make = functools.partial(flowsim.claim, source=SOURCE, probes={"sharpness": sharpness}, events=events)
        return [_sharpening(make), self._edges(make, problem, sharpness, names)]

    def _edges(self, make, problem, sharpness, names):
        @make(
            id="edge of stability",
            rule="the loss of the descent falls at every step up to the flow's time at 2/η, rises at a later one, and "
            "its final sharpness is within 20 % of 2/η and the flow's largest 5 % above it",
        )
        def edge(evidence):
            """Gradient descent follows the flow until the sharpness reaches 2/η; from then on its loss is no longer
            monotone, and its sharpness stays near 2/η while the flow's goes on."""
            _, flow = evidence.curve("sharpness")
            found = []
            for name, eta in names.items():
                time = evidence.time(name)
                losses, last = descend(problem, self.slowdown * eta, int(4 * time.value / eta) + 200)
                rises = np.flatnonzero(np.diff(losses) > 0)
                rise = float((rises[0] + 1) * eta) if len(rises) else np.inf
                sharp = float(sharpness(last))
                conditions = Finding.of(
                    Measured(rise) > time,
                    Measured(abs(sharp * eta / 2 - 1)) < 0.2,
                    Measured(float(np.max(flow.value))) > 1.05 * sharp,
                    time.named(f"flow's sharpness is 2/η at t, η = {eta:g}"),
                )
                measured = {
                    f"descent's first rise at t, η = {eta:g}": rise,
                    f"descent's final sharpness · η/2, η = {eta:g}": sharp * eta / 2,
                }
                found.append(conditions & Finding(measured, conditions.conditions))
            return all_of(found)

        return edge


def _sharpening(make):
    @make(id="progressive sharpening", rule="its largest value is above 1.5 times its first")
    def sharpening(evidence):
        """Along the flow the sharpness rises."""
        _, curve = evidence.curve("sharpness")
        top = curve[int(np.argmax(curve.value))].named("largest sharpness")
        return Finding.compare(top, ">", 1.5 * curve[0].named("sharpness at the start"))

    return sharpening


def descend(problem, eta, steps):
    """Losses of plain gradient descent, and where it ends."""

    @jax.jit
    def run(start):
        def step(p, _):
            value, gradient = jax.value_and_grad(problem.risk)(p)
            return jax.tree.map(lambda x, g: x - eta * g, p, gradient), value

        return jax.lax.scan(step, start, None, length=steps)

    last, losses = run(problem.parameters)
    return np.asarray(losses), last


def _edge(sharpness, eta, t, p):
    return sharpness(p) - 2 / eta
