"""The coefficients of explicit Runge-Kutta methods."""

import diffrax
import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .compensated import Compensated
from .method import Method


class Tableau(eqx.Module):
    """y₁ = y₀ + h Σ b_i k_i with k_i the slope at t + c_i h and y₀ + h Σ a_ij k_j; a is strictly lower triangular."""

    a: Float[Array, "stages stages"]
    b: Float[Array, "stages"]
    c: Float[Array, "stages"]


def tableau(method: Method, dtype) -> Tableau:
    """The coefficients of a method that has them.

    **Raises:** `ValueError` for one that is no explicit Runge-Kutta method with fixed coefficients.
    """
    solver = method.solver.inner if isinstance(method.solver, Compensated) else method.solver
    if not isinstance(solver, diffrax.AbstractERK):
        raise ValueError(f"an adjoint needs the fixed coefficients of an explicit Runge-Kutta method, and "
                         f"{method.kind} has none: use dopri8, tsit5, dopri5, bosh3 or heun.")  # fmt: skip
    known = solver.tableau
    a = np.zeros((known.num_stages, known.num_stages))
    for i, row in enumerate(known.a_lower, 1):
        a[i, : len(row)] = row
    used = known.num_stages - int(known.ssal)  # the last stage of such a method is the slope at the step's end
    b, c = np.asarray(known.b_sol), np.asarray([0.0, *known.c])
    return Tableau(*(jnp.asarray(x, dtype) for x in (a[:used, :used], b[:used], c[:used])))
