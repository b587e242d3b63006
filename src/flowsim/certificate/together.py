"""Certificates of many runs at once: their numbers as arrays, and each run's certificate when it is asked for."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from .. import _tree
from .._jit import fast_compile
from .._types import Parameters
from ..invariants import Law, drift, find, of_words
from ..models import traits
from ..records import Crossing, Status
from ..simulation import Plan, Prepared, Stacked
from .bounds import SAFETY, crossing_bounds, curve_bounds
from .certify import certified_method, declared_drifts, rounding_floor
from .premises import broken, differing, faint, foreign_gradient
from .record import Certificate
from .words import frozen_directions_of, homogeneity_of

_AT_ONCE = 16  # runs whose lifted models are in memory at once


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What a second integration of many runs says of the first.

    **Fields:** `distances`: travelled, apart and size of every run's end, as arrays; `invariants`: name -> drift of
    every run; `method`: where it comes from; `evaluations`, `kinks`, `failed`: of the second integration;
    `falls`: of both, how far every run's energy fell, by how much its dissipation says, and its size.
    """

    prepared: Prepared
    method: str
    distances: tuple[np.ndarray, np.ndarray, np.ndarray]
    smallest: np.ndarray
    invariants: Mapping[str, np.ndarray]
    steps: np.ndarray
    evaluations: np.ndarray
    kinks: np.ndarray
    first_kink: np.ndarray
    failed: np.ndarray
    falls: tuple[np.ndarray, np.ndarray]

    @cached_property
    def floors(self) -> np.ndarray:
        """The part of each bound that rounding accounts for."""
        travelled, _, size = self.distances
        return rounding_floor(size, self.steps, travelled, dtype=self.prepared.plan.end.high.dtype)

    @cached_property
    def relative_errors(self) -> np.ndarray:
        """Of every run; infinite where no bound can be given."""
        travelled, apart, _ = self.distances
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(travelled == 0, np.where(apart == 0, 0.0, np.inf), apart / travelled)
        return np.where(self.withheld, np.inf, SAFETY * share + self.floors)

    @property
    def withheld(self) -> np.ndarray:
        """Of which runs can no bound be given?"""
        return self.failed | (self.kinks > 0)

    def bands(
        self, runs: Sequence[int] | np.ndarray, here: Mapping[str, np.ndarray], there: Mapping[str, np.ndarray]
    ) -> Mapping[str, np.ndarray]:
        """Bounds on curves of some runs, none of which is withheld.

        **Arguments:** `here`, `there`: what both integrations saved of them, axes of time and of runs first.
        """
        return curve_bounds(here, there, self.floors[runs], withheld=False)

    def certificate(
        self,
        run: int,
        status: Status,
        here: Mapping[str, tuple[Crossing, ...]],
        there: Mapping[str, tuple[Crossing, ...]],
        energy_identity: float,
        bands: Mapping[str, np.ndarray],
    ) -> Certificate:
        """Of one run.

        **Arguments:** `here`, `there`: its crossings, and those that the second integration saw, by their events;
        `bands`: of its curves, where they are not withheld.
        """
        second = Status("not_finite", status.time, "it is not followed together with the others")
        withheld = broken(status, second if self.failed[run] else None, True, int(self.kinks[run]),
                          float(self.first_kink[run]))  # fmt: skip
        settings, falls = self.prepared.settings, [tuple(map(float, fall[:, run])) for fall in self.falls]
        foreign = foreign_gradient(falls, settings) if self.prepared.plan.flow.traits.plain else ()
        doubts = (*foreign, *differing(here, there), *faint(float(self.smallest[run]), settings))
        return Certificate(
            relative_error=math.inf if withheld else float(self.relative_errors[run]),
            energy_identity=energy_identity,
            invariants={name: float(drifts[run]) for name, drifts in self.invariants.items()},
            crossing_errors=crossing_bounds(here, there, steps=int(self.steps[run]), withheld=bool(withheld)),
            probe_errors=bands,
            rounding_floor=float(self.floors[run]),
            method=self.method,
            evaluations=int(self.evaluations[run]),
            warnings=(*withheld, *doubts),
            withheld=withheld,
        )


def evidence(
    prepared: Prepared,
    again: Prepared,
    stacked: Stacked,
    ends: PyTree,
    others: PyTree,
    numbers: Mapping,
    second: Mapping,
) -> Evidence:
    """Compare many runs with their second integrations.

    **Arguments:** `prepared`, `again`: one of the runs and its second integration, for what all share; `ends`,
    `others`: both integrations' parameters; `numbers`, `second`: as `simulation.Together` has them; `second`
    also has `alone`.
    """
    plan = prepared.plan
    laws = _laws(plan)
    runs = jax.tree.leaves(ends)[0].shape[0]
    stacked = stacked if stacked.count == runs else stacked.take(np.arange(runs))
    lengths, drifts = jax.device_get(_compared(stacked, ends, others, laws))
    kinks = np.minimum(numbers["kinks"], second["kinks"])
    return Evidence(
        prepared, certified_method(prepared, again), lengths[:3], lengths[3],
        {name: values for name, values in drifts.items() if name != "homogeneity" or "mlp_value" in drifts},
        numbers["steps"], plan.flow.traits.gradients * second["evaluations"], kinks, numbers["first_kink"],
        second["alone"], (_falls(numbers), _falls(second)),
    )  # fmt: skip


def _falls(numbers: Mapping) -> np.ndarray:
    return np.array([numbers[name] for name in ("lost", "dissipated", "energy")], float)


def _laws(plan: Plan) -> tuple[Law, ...]:
    """What the flow conserves: of one run, as symmetries of the risk are the same for all."""
    if not plan.flow.traits.conserves:
        return ()
    start = plan.problem.parameters
    return of_words(start) if plan.problem.is_word_problem else find(plan.problem)


@fast_compile
def _compared(stacked: Stacked, ends: Parameters, others: Parameters, laws: tuple[Law, ...]):
    """Lengths and drifts of every run."""

    def one(plan: Plan, end: Parameters, other: Parameters):
        start = plan.problem.parameters
        travelled, apart = _tree.subtract(end, start), _tree.subtract(end, other)
        sizes = [jnp.sqrt(jnp.mean(x**2)) for x in jax.tree.leaves(start)]
        smallest = jnp.min(jnp.array([jnp.where(x > 0, x, jnp.inf) for x in sizes]))
        lengths = (_tree.norm(travelled), _tree.norm(apart), _tree.norm(end), smallest)
        found = {law.name: drift(law, start, end) for law in laws}
        if plan.flow.traits.conserves and plan.problem.is_word_problem:
            found["homogeneity"] = homogeneity_of(plan.problem, end)
        return lengths, found

    lengths, found = stacked.each(one, ends, others)
    return lengths, found | _lifted(stacked, ends)


def _lifted(stacked: Stacked, ends: Parameters) -> dict[str, Array]:
    """What is read off the models as the user made them, a few at a time: they may be far larger."""
    lift, conserves = stacked.shared.lift, stacked.shared.flow.traits.conserves
    names: dict[str, Callable] = {}
    if lift.recoverable:
        names |= dict(lift.original.conserved)
    words = conserves and lift.recoverable and traits(lift.original.remainder).matrices
    if not names and not words:
        return {}

    def one(item):
        own, end = item
        plan = eqx.combine(own, stacked.shared)
        start = plan.problem.parameters
        found = declared_drifts(tuple(names.items()), plan.lift, start, end)
        if words:
            original = plan.lift.original
            found["frozen_directions"] = frozen_directions_of(original.model(original.parameters), plan.lift(end))
        return found

    return jax.lax.map(one, (stacked.own, ends), batch_size=_AT_ONCE)
