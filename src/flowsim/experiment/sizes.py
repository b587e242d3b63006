"""How large a run is, and the refusal of one that cannot fit into memory."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import simulation
from .._memory import available, for_arrays
from ..config.kinds.model import drawn_in_law
from ..config.problems import Place, refusal
from ..config.schema import Experiment
from ..problem import Problem
from ..simulation import Prepared

_BASE = 1.1e9  # bytes of a small run: JAX and its compiler, measured
_KEPT = 2**30  # bytes of weights that the runs of an ensemble or a verification may take together on disk
_SMALL = 2**26  # bytes of weights, of which two integrations side by side hold dozens of copies
_FEW = 2**24  # bytes, next to those of any process
_COPIES = 3  # of the weights while they are drawn and reduced; of the saved rows while they are written


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Bytes. `parameters`: the model's; `state`: what is integrated; `carry`: one checkpoint; `segments`: all rows;
    `activations`: what a gradient holds of the samples; `step`: what a step does, these included, which is where JAX
    puts arrays; `peak_estimate`: all of it."""

    parameters: int
    state: int
    carry: int
    segments: int
    activations: int
    step: int
    peak_estimate: int


def measure(problem: Problem, prepared: Prepared) -> Sizes:
    """Sizes of a run that has been built: nothing is computed, at most a gradient is compiled."""
    carry = eqx.filter_eval_shape(simulation.begin, prepared.plan)
    row = eqx.filter_eval_shape(simulation.measure, prepared.plan, carry)
    parameters, state = _bytes(problem.parameters), _bytes(prepared.plan.problem.parameters)
    segments = len(prepared.save_times) * (8 + _bytes(row))
    activations = _activations(prepared.plan.problem)
    # Stages of a step, the interpolant's, and the carry before and after.
    step = prepared.plan.method.held(state) + activations
    peak = int(_BASE + _COPIES * (parameters + segments) + step)
    return Sizes(parameters, state, _bytes(carry), segments, activations, step, peak)


def _activations(problem: Problem) -> int:
    """What a gradient holds.

    XLA, which fuses much of it, is asked where it may matter, as it has to compile the gradient for that.
    """
    most = problem.activation_bytes
    if most < _FEW:
        return most
    gradient = jax.jit(jax.grad(problem.risk)).lower(problem.parameters).compile().memory_analysis()
    return most if gradient is None else int(gradient.temp_size_in_bytes)


def weights_are_kept(problem: Problem, runs: int) -> bool:
    """Are the weights of so many runs written, each into its folder? 100 runs at width 10⁵ would take 20 GB."""
    return runs * _bytes(problem.parameters) <= _KEPT


def leaves_room(experiment: Experiment, problem: Problem) -> bool:
    """Is there room for another computation beside this one: memory, and a device on which nothing has to be in order?

    Programs that several devices run together must start in the same order on each.
    """
    return experiment.devices.count == 1 and _bytes(problem.parameters) <= _SMALL


def refuse_what_cannot_fit(sizes: Sizes) -> None:
    """**Raises:** `ExperimentErrors` that names the key to change."""
    for needed, memory in ((sizes.peak_estimate, available()), (sizes.step, for_arrays())):
        if needed > memory:
            raise _too_large(_to_lower(sizes), needed, memory)


def _to_lower(sizes: Sizes) -> str:
    """The key of what takes most."""
    if sizes.activations > sizes.step - sizes.activations + sizes.segments:
        return "evaluation.samples_at_once"
    return "save.points" if sizes.segments > sizes.parameters + sizes.carry else "model.width"


def refuse_weights_that_cannot_fit(experiment: Experiment) -> None:
    """Before they are drawn, which is where a machine without enough memory would kill the process.

    **Raises:** `ExperimentErrors` that names the key to change.
    """
    model: Any = experiment.model
    if model is None or model.kind != "cooccurrence_transformer" or math.isinf(model.width) or drawn_in_law(experiment):
        return
    task: Any = experiment.task
    number = model.width * (model.neurons + 3 * task.vocabulary)
    needed = _BASE + _COPIES * number * (8 if experiment.precision == "float64" else 4)
    if needed > available():
        raise _too_large("model.width", needed, available())


def _too_large(key: str, needed: int | float, memory: int | float):
    message = f"makes a run of about {needed / 1e9:.1f} GB, and there are {memory / 1e9:.1f} GB: lower it."
    return refusal(Place("memory"), message, key)


def _bytes(tree: Any) -> int:
    arrays = [x for x in jax.tree.leaves(tree) if hasattr(x, "dtype") and hasattr(x, "shape")]
    return sum(math.prod(x.shape) * _itemsize(x.dtype) for x in arrays)


def _itemsize(dtype: Any) -> int:
    return 8 if jnp.issubdtype(dtype, jax.dtypes.prng_key) else jnp.dtype(dtype).itemsize
