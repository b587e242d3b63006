"""What the peers are tried on: a problem as flat vectors, and where its flow truly ends."""

import dataclasses
from collections.abc import Callable
from functools import cached_property

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.integrate import ode, solve_ivp

import flowsim


@dataclasses.dataclass(frozen=True)
class Setting:
    """One size and horizon. **Fields:** `bar`: the largest flowsim / best peer that was promised, None if none was."""

    name: str
    t1: float
    samples: int
    length: int
    vocabulary: int
    width: int
    neurons: int
    bar: float | None = None
    note: str = ""

    def problem(self) -> flowsim.Problem:
        keys = jax.random.split(jax.random.key(0), 3)
        task = flowsim.tasks.cooccurrence(
            samples=self.samples, length=self.length, vocabulary=self.vocabulary, key=keys[0]
        )
        model = flowsim.models.CooccurrenceTransformer(
            vocabulary=self.vocabulary, width=self.width, neurons=self.neurons, key=keys[1]
        )
        return flowsim.Problem(flowsim.init.kaiming_uniform()(model, key=keys[2]), task)


_PAPER = Setting("paper", 300.0, 60, 5, 64, 128, 256, bar=0.6)
SETTINGS = {
    "paper": _PAPER,
    "wide": dataclasses.replace(
        _PAPER, name="wide", t1=10.0, width=2048, neurons=2048, bar=1 / 60,
        note="t1 = 10 instead of 300, as a peer needs half a minute even so",
    ),
    "long": dataclasses.replace(_PAPER, name="long", t1=1e6, bar=None),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
    """A problem in flat vectors: W, W_V, W_K, W_Q one after the other."""

    setting: Setting
    problem: flowsim.Problem

    @cached_property
    def start(self) -> np.ndarray:
        return np.asarray(ravel_pytree(self.problem.parameters)[0])

    @cached_property
    def unravel(self) -> Callable:
        return ravel_pytree(self.problem.parameters)[1]

    @cached_property
    def velocity(self) -> Callable:
        """-∂risk of a flat vector, jitted."""
        return jax.jit(lambda y: -jax.grad(lambda z: self.problem.risk(self.unravel(z)))(y))

    @cached_property
    def reference(self) -> np.ndarray:
        """The flow's end by SciPy's DOP853 at rtol 1e-13, far below what any method is asked for."""
        options = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-15}
        found = solve_ivp(self._field, (0.0, self.setting.t1), self.start, t_eval=[self.setting.t1], **options)
        if not found.success:
            raise RuntimeError(f"the reference was not reached: {found.message}")
        return found.y[:, -1]

    @cached_property
    def doubt(self) -> float:
        """Distance of the reference from a second one, by a multistep method (VODE's Adams), as an error."""
        second = ode(self._field).set_integrator("vode", method="adams", rtol=1e-12, atol=1e-14, nsteps=1_000_000)
        second.set_initial_value(self.start, 0.0)
        end = second.integrate(self.setting.t1)
        return self.error(end) if second.successful() else float("inf")

    def error(self, end: np.ndarray) -> float:
        """Distance from the reference, over the distance that the flow travelled."""
        return float(np.linalg.norm(end - self.reference) / np.linalg.norm(self.reference - self.start))

    def _field(self, t, y):
        return np.asarray(self.velocity(y))
