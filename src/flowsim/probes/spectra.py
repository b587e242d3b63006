"""The Hessian's spectrum along the path: its extreme eigenvalues, and its density."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..linalg import Extremes, extremes, hessian_product, quadrature
from ..moment import Moment
from .arrays import as_made
from .probe import Probe

RULE = ("node", "weight")


class _Extremes(eqx.Module):
    count: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    bounds: bool = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, "eigenvalues"]:
        found = hessian_extremes(moment, count=self.count, steps=self.steps)
        if self.bounds:
            return jnp.concatenate([found.lowest_errors, found.largest_errors[::-1]])
        return jnp.concatenate([found.lowest, found.largest[::-1]])


class _Density(eqx.Module):
    starts: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, "2 starts steps"]:
        product, flat = _hessian(moment, "hessian_density")
        signs = jax.random.rademacher(jax.random.key(1), (self.starts, flat.size), flat.dtype)
        return jnp.stack(quadrature(product, signs, steps=self.steps))


def _hessian(moment: Moment, what: str) -> Any:
    """Products with the Hessian in the user's own parameters, whatever the flow is integrated in."""
    return hessian_product(moment.lift.original.risk, as_made(moment, what))


def hessian_extremes(moment: Moment, *, count: int, steps: int) -> Extremes:
    """Lowest and largest eigenvalues of the Hessian of the risk, in the user's own parameters."""
    product, flat = _hessian(moment, "hessian_spectrum")
    start = jax.random.normal(jax.random.key(0), flat.shape, flat.dtype)
    return extremes(product, start, count=count, steps=steps)


def hessian_spectrum(
    *, count: int = 8, steps: int = 48, density: bool = False, starts: int = 4, nodes: int = 32
) -> dict[str, Probe]:
    """The extreme eigenvalues of the Hessian of the risk, and its spectral density, in the user's own parameters.

        simulate(problem, t1=…, probes={**flowsim.probes.hessian_spectrum(count=4)})

    `hessian_spectrum(time, eigenvalue)`: the `count` lowest and the `count` largest eigenvalues, ascending.
    `hessian_residual(time, eigenvalue)`: an eigenvalue of the Hessian lies within this distance of each (Lanczos with
    full reorthogonalization from a fixed random start, residual bound). A saved time costs `steps` Hessian-vector
    products, each about two gradients.

    `hessian_density(time, rule, start, node)` with `density`: nodes and weights of stochastic Lanczos quadrature, from
    which (1/P) tr f(H) ≈ mean over starts of Σ weight f(node) for any f; the starts' spread is its standard error. It
    costs `starts` · `nodes` products more.

    **Arguments:** `count`: at each end. `steps`: Lanczos steps, at least 2 `count`. `starts`, `nodes`: of the
    quadrature.

    **Raises:** `ValueError` for numbers that do not fit.
    """
    if count < 1 or steps < 2 * count:
        raise ValueError(f"count must be at least 1 and steps at least 2 count, got {count} and {steps}.")
    if starts < 1 or nodes < 2:
        raise ValueError(f"starts must be at least 1 and nodes at least 2, got {starts} and {nodes}.")
    text = "extreme eigenvalues of the Hessian of the training loss"
    bound = "distance within which the Hessian has an eigenvalue of each of hessian_spectrum"
    found = {
        "hessian_spectrum": Probe("hessian_spectrum", ("eigenvalue",), text, "1", _Extremes(count, steps, False)),
        "hessian_residual": Probe("hessian_residual", ("eigenvalue",), bound, "1", _Extremes(count, steps, True)),
    }
    if density:
        text = "quadrature of the spectral density of the Hessian of the training loss"
        rule = Probe("hessian_density", ("rule", "start", "node"), text, "1", _Density(starts, nodes))
        found["hessian_density"] = rule
    return found
