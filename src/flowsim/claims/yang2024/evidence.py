"""What a run gives the claims to work with."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray
from jaxtyping import Array, Float, Int

from ... import events, probes
from ...events import Event
from ...models import AbstractWordModel, traits
from ...probes import Probe
from ...problem import Problem
from ...records import EventRecord
from ...reductions import Reduction
from ...result import Result
from ...tasks import Task

Values = tuple[Any, Any]  # numbers and the bounds of their errors, of NumPy


@dataclasses.dataclass(frozen=True)
class Evidence:
    """One run, measured.

    **Fields:**

    - `dataset`: saved probes, with error bands where the run was certified.
    - `events`: name -> record.
    - `samples`, `length`, `width`, `neurons`: n, L, m, m1.
    - `tolerance`: the run's relative tolerance.
    - `neuron_rates`: a_j d(w_jᵀW_Vμ)/dt at t = 0 for words 0-2; None where the neurons are not there.
    - `score_change`: W_KᵀW_Q(T) - W_KᵀW_Q(0) over all words.
    - `random_words`: the random words that the samples hold.
    - `test_loss`: mean loss on fresh samples at the end, None without them.
    - `energy_identity`: see `flowsim.certificate.Certificate`.
    - `complete`: did the run reach its end?
    """

    dataset: xarray.Dataset
    events: Mapping[str, EventRecord]
    samples: int
    length: int
    width: float
    neurons: float
    tolerance: float
    neuron_rates: Float[np.ndarray, "neurons 3"] | None
    score_change: Float[np.ndarray, "vocabulary vocabulary"]
    random_words: Int[np.ndarray, "words"]
    test_loss: float | None
    energy_identity: float
    complete: bool

    @functools.cached_property
    def T1(self) -> float | None:
        """End of phase 1."""
        return self.events["phase1_end"].time

    @functools.cached_property
    def T2(self) -> float:
        """End of the run, or the first time after T1 at which a bound of Definition F.1 breaks."""
        times = self.events["leaves_phase2_region"].times
        later = [time for time in times if self.T1 is not None and time > self.T1]
        return min([*later, self.end])

    @property
    def end(self) -> float:
        return float(self.dataset.time.values[-1])

    @functools.cached_property
    def readout_scale(self) -> float:
        """σ1² m m1, as ‖u(0)‖² measures it."""
        return float(self.dataset.readout_squared.values[0])

    @functools.cached_property
    def value_scale(self) -> float:
        """σ0² m, as the mean diagonal of W_VᵀW_V(0) over words 0-2 measures it."""
        return float(np.mean(np.diagonal(self.dataset.value_gram.values[0])))

    @property
    def scale(self) -> float:
        """(σ0² + σ1²) m m1, the speed of phase 1."""
        return self.readout_scale + self.neurons * self.value_scale

    def series(self, name: str, start: float = 0.0, end: float = np.inf) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(times, values, errors) of a variable at the saved times in [start, end]."""
        time = self.dataset.time.values
        inside = (time >= start) & (time <= end)
        values, errors = self._with_error(name)
        return time[inside], values[inside], errors[inside]

    def at(self, name: str, time: float) -> Values:
        """A variable between two saved times, linear in between; half the step between the two counts as error."""
        times = self.dataset.time.values
        values, errors = self._with_error(name)
        right = int(np.clip(np.searchsorted(times, time), 1, len(times) - 1))
        part = np.clip((time - times[right - 1]) / (times[right] - times[right - 1]), 0.0, 1.0)
        low, high = values[right - 1], values[right]
        between = np.abs(high - low) * (0.5 if 0 < part < 1 else 0.0)
        return low + part * (high - low), np.maximum(errors[right - 1], errors[right]) + between

    def largest(self, name: str, event: str) -> Values:
        """The largest value of a scalar variable up to an event, which has the variable's value at its own time."""
        record = self.events[event]
        first = record.crossings[0]
        _, values, errors = self.series(name, 0.0, first.time)
        there = first.values[name]
        return np.asarray(max(np.max(values), there)), np.asarray(np.max(errors))

    def _with_error(self, name: str) -> Values:
        values = self.dataset[name].values
        band = f"{name}_error"
        return values, self.dataset[band].values if band in self.dataset else np.zeros_like(values)


def watched() -> tuple[Event, ...]:
    """The events that the claims need."""
    return (events.phase1_end(), events.common_word_turns(), events.leaves_phase2_region())


def measured(problem: Problem, reduction: Reduction) -> tuple[Probe, ...]:
    """The probes that the claims need beside the standard ones, for a problem in its reduction."""
    return probes.of_claims(reduction.problem, _signed_neurons(problem, reduction))


def _signed_neurons(problem: Problem, reduction: Reduction) -> Array | None:
    """Row i is a_i w_i(0), in the coordinates in which u is integrated."""
    model = problem.model(problem.parameters)
    if not (traits(model).matrices and reduction.recoverable and bool(jnp.all(abs(model.a) == 1))):
        return None
    basis = None if reduction.lift is None else reduction.lift.value  # pyright: ignore[reportFunctionMemberAccess]
    return model.a[:, None] * (model.W if basis is None else model.W @ basis)


def observe(
    problem: Problem, reduction: Reduction, result: Result, *, tolerance: float, fresh: Task | None = None
) -> Evidence:
    """The evidence of a run whose probes and events are those of `measured` and `watched`.

    **Arguments:** `fresh`: new samples from the distribution of the training samples. `tolerance`: the run's rtol.
    """
    task, small = problem.samples, reduction.problem
    start = small.model(small.parameters)
    words = jnp.arange(task.vocabulary)
    change = result.model.key_query(words) - start.key_query(words)
    tokens = np.unique(np.asarray(task.tokens))
    return Evidence(
        dataset=result.dataset,
        events=result.events,
        samples=task.samples,
        length=task.length,
        width=float(start.width),
        neurons=float(probes.a_squared(small)),
        tolerance=tolerance,
        neuron_rates=_neuron_rates(problem),
        score_change=np.asarray(change, np.float64),
        random_words=tokens[tokens >= 3],
        test_loss=None if fresh is None else float(_mean_loss(problem.loss, result.model, fresh)),
        energy_identity=result.energy_identity,
        complete=result.status.ok,
    )


@eqx.filter_jit
def _mean_loss(loss, model: AbstractWordModel, task: Task) -> Float[Array, ""]:
    return jnp.mean(jax.vmap(loss)(jax.vmap(model)(jnp.asarray(task.tokens)), task.labels))


def _neuron_rates(problem: Problem) -> np.ndarray | None:
    if not traits(problem.remainder).matrices:
        return None
    return np.asarray(_rates(problem), np.float64)


@eqx.filter_jit
def _rates(problem: Problem) -> Float[Array, "neurons 3"]:
    def outputs(parameters):
        model = problem.model(parameters)
        values = model.W_V if model.embedding is None else model.W_V @ model.embedding
        return model.a[:, None] * (model.W @ values[:, :3])

    velocity, _ = problem.velocity(problem.parameters)
    return jax.jvp(outputs, (problem.parameters,), (velocity,))[1]
