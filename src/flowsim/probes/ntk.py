"""The neural tangent kernel along the path: K = J Jᵀ with J = ∂F/∂θ on a subset of the samples."""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Parameters
from ..moment import Moment
from .arrays import as_made
from .probe import Probe

_AT_ONCE = 8  # rows of the kernel that are computed together: each holds one gradient


class _Kernel(eqx.Module):
    """K of the first `samples` samples, and what is made of it."""

    samples: int | None = eqx.field(static=True)
    quantity: Callable = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Array:
        return self.quantity(self, moment)

    def outputs(self, moment: Moment, parameters: Parameters) -> Float[Array, "outputs"]:
        """The predictions of the subset, one after the other."""
        problem = moment.lift.original
        tokens = jnp.asarray(problem.samples.tokens)[: self.samples]
        return jnp.ravel(jax.vmap(problem.model(parameters))(tokens))

    def kernel(self, moment: Moment, parameters: Parameters) -> Float[Array, "outputs outputs"]:
        values, back = jax.vjp(lambda p: self.outputs(moment, p), parameters)

        def row(unit):
            return jax.jvp(lambda p: self.outputs(moment, p), (parameters,), back(unit))[1]

        found = jax.lax.map(row, jnp.eye(values.size, dtype=values.dtype), batch_size=min(_AT_ONCE, values.size))
        return (found + found.T) / 2


def _now(probe: _Kernel, moment: Moment) -> Float[Array, "outputs outputs"]:
    return probe.kernel(moment, as_made(moment, "the neural tangent kernel"))


def _alignment(probe: _Kernel, moment: Moment) -> Float[Array, ""]:
    kernel, y = _now(probe, moment), _labels(probe, moment)
    return y @ kernel @ y / (jnp.sum(y * y) * jnp.linalg.norm(kernel))


def _labels(probe: _Kernel, moment: Moment) -> Float[Array, "outputs"]:
    """The labels as the predictions want to be: ±1, numbers, or one-hot words."""
    task, values = moment.lift.original.samples, probe.outputs(moment, as_made(moment, "labels"))
    labels = jnp.asarray(task.labels)[: probe.samples]
    if task.target == "word":
        labels = jax.nn.one_hot(labels, values.size // labels.size)
    return jnp.ravel(labels).astype(values.dtype)


def _distance(probe: _Kernel, moment: Moment) -> Float[Array, ""]:
    start = probe.kernel(moment, moment.lift.original.parameters)
    return jnp.linalg.norm(_now(probe, moment) - start) / jnp.linalg.norm(start)


def _speed(probe: _Kernel, moment: Moment) -> Float[Array, ""]:
    here = as_made(moment, "the neural tangent kernel")
    velocity, _ = moment.lift.original.velocity(here)
    kernel, change = jax.jvp(lambda p: probe.kernel(moment, p), (here,), (velocity,))
    return jnp.linalg.norm(change) / jnp.linalg.norm(kernel)


@dataclasses.dataclass(frozen=True)
class _Spectrum:
    """Compared by value, so that two runs share one compiled program."""

    count: int

    def __call__(self, probe: _Kernel, moment: Moment) -> Float[Array, "eigenvalues"]:
        values = jnp.linalg.eigvalsh(_now(probe, moment))[::-1]
        if self.count > len(values):
            raise ValueError(f"the kernel of these samples has {len(values)} eigenvalues, {self.count} are asked for.")
        return values[: self.count]


def ntk(*, count: int = 8, samples: int | None = 32) -> dict[str, Probe]:
    """The neural tangent kernel K_ij = ⟨∂F(x_i)/∂θ, ∂F(x_j)/∂θ⟩ of the first samples, in the user's own parameters.

        simulate(problem, t1=…, probes={**flowsim.probes.ntk()})

    - `ntk_spectrum(time, kernel_eigenvalue)`: its `count` largest eigenvalues.
    - `ntk_alignment(time)`: yᵀ K y / (‖y‖² ‖K‖), 1 for a kernel that knows the labels only.
    - `ntk_distance(time)`: ‖K - K(0)‖ / ‖K(0)‖: 0 for lazy training.
    - `ntk_speed(time)`: ‖dK/dt‖ / ‖K‖ along the gradient flow.

    Norms are Frobenius'. The kernel is exact; the jacobian is never formed: a row takes a vector-Jacobian and a
    Jacobian-vector product, for one sample's output about as much as a gradient of the subset.

    **Arguments:** `count`: eigenvalues. `samples`: the first so many, None for all.

    **Raises:** `ValueError` for numbers below 1; at the start of a run for a problem without samples, or more
    eigenvalues than the kernel has.

    **Reference:** Jacot, Gabriel, Hongler (2018), Neural tangent kernel; alignment: Cristianini et al. (2002), On
    kernel-target alignment.
    """
    if count < 1 or (samples is not None and samples < 1):
        raise ValueError(f"count and samples must be at least 1, got {count} and {samples}.")
    text = "of the neural tangent kernel of the first samples"
    quantities = {
        "ntk_spectrum": (("kernel_eigenvalue",), f"largest eigenvalues {text}", _Spectrum(count)),
        "ntk_alignment": ((), f"alignment with the labels {text}", _alignment),
        "ntk_distance": ((), f"relative distance from its start {text}", _distance),
        "ntk_speed": ((), f"relative speed of change {text}", _speed),
    }
    return {
        name: Probe(name, dims, long_name, "1", _Kernel(samples, quantity))
        for name, (dims, long_name, quantity) in quantities.items()
    }
