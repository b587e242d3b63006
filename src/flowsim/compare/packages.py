"""Other packages' methods, on the very same vector field: SciPy's `solve_ivp`, and CVODE of SUNDIALS."""

import importlib.util
from typing import Any, NamedTuple

import jax
import jax.flatten_util
import numpy as np
from jaxtyping import Float
from scipy.integrate import solve_ivp

from .. import _tree
from ..problem import Problem
from ..solver_names import SCIPY, SUNDIALS

_DENSE = {"LSODA", "Radau"}  # hold a Jacobian, from differences
_LARGEST = 5000  # numbers of a state whose Jacobian is held: 200 MB


class Field:
    """The gradient flow's velocity on a flat vector, which counts: a Jacobian-vector product is two evaluations."""

    def __init__(self, problem: Problem):
        start, self.unravel = jax.flatten_util.ravel_pytree(problem.parameters)

        def velocity(x):
            return jax.flatten_util.ravel_pytree(problem.velocity(self.unravel(x))[0])[0]

        self.start, self.evaluations = np.asarray(start), 0
        self._velocity = jax.jit(velocity)
        self._product = jax.jit(lambda x, v: jax.jvp(velocity, (x,), (v,))[1])

    def compile(self, *, products: bool) -> None:
        """Once, before anything is timed."""
        jax.block_until_ready(self._velocity(self.start))
        if products:
            jax.block_until_ready(self._product(self.start, self.start))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.evaluations += 1
        return np.asarray(self._velocity(x))

    def product(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The Jacobian at x times v."""
        self.evaluations += 2
        return np.asarray(self._product(x, v))


class Path(NamedTuple):
    """States at the times that were asked for, fewer where the method gave up, and whether it reached the end."""

    states: Float[np.ndarray, "times parameters"]
    done: bool


def check(solvers: Any, problem: Problem) -> None:
    """**Raises:** `ValueError` for a method whose package is missing, or whose Jacobian would not fit into memory."""
    if any(name in SUNDIALS for name in solvers) and importlib.util.find_spec("sksundae") is None:
        raise ValueError("SUNDIALS' methods need scikit-sundae: python -m pip install 'flowsim[sundials]'.")
    size = _tree.size(problem.parameters)
    dense = [name for name in solvers if SCIPY.get(name) in _DENSE]
    if dense and size > _LARGEST:
        raise ValueError(f"{dense[0]} holds a {size} × {size} Jacobian: leave it out, or take sundials_bdf.")


def solve(solver: str, field: Field, times: np.ndarray, rtol: float, atol: float, max_steps: int) -> Path:
    """Integrate from the field's start, by one of SciPy's or SUNDIALS' methods."""
    if solver in SCIPY:
        found = solve_ivp(
            lambda t, x: field(x), (times[0], times[-1]), field.start, SCIPY[solver], t_eval=times, rtol=rtol, atol=atol
        )
        return Path(found.y.T, found.status == 0)
    return _cvode(SUNDIALS[solver], field, times, rtol, atol, max_steps)


def _cvode(method: str, field: Field, times: np.ndarray, rtol: float, atol: float, max_steps: int) -> Path:
    """CVODE with GMRES for its Newton steps, by exact Jacobian-vector products.

    **Reference:** Hindmarsh et al. (2005), SUNDIALS, ACM Trans. Math. Softw. 31, 363-396.
    """
    from sksundae.cvode import CVODE, CVODEJacTimes

    def rate(t, y, out):
        out[:] = field(y)

    def product(t, y, rates, v, out):
        out[:] = field.product(y, v)

    solver = CVODE(
        rate, method=method, linsolver="gmres", jactimes=CVODEJacTimes(None, product), rtol=rtol, atol=atol,
        max_num_steps=max_steps,
    )  # fmt: skip
    found = solver.solve(times, field.start)
    states = np.asarray(found.y)
    # Of two times it gives its own steps between them.
    return Path(states[[0, -1]] if len(times) == 2 else states, bool(found.success))
