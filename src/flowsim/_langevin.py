"""Langevin dynamics: the gradient flow with noise, along one path of Brownian motion that a key fixes.

It has an entry of its own and is no `flows` vector field: the loop's step control, events and certificate rest on
paths that are smooth, which these are not.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import diffrax
import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import lineax
import numpy as np
from jaxtyping import Array, Float, PyTree

from . import _checks, _tree, saving
from . import probes as standard  # `probes` is an argument below, as it is of `simulate`
from ._types import Key
from .moment import Lift, Moment
from .probes import Probe
from .problem import Problem
from .records import Status, Trajectory, Variable
from .simulation.arguments import as_probes, as_problem

_LARGEST_STEPS = 10**8


@dataclasses.dataclass(frozen=True)
class NoisyPath:
    """What `flowsim.langevin` returns.

    **Fields:** `parameters`, `model`: at the end, in the shape in which the user gave them; `status`: how it ended;
    `trajectory`: saved probes; `steps`, `step`: how many equal steps and their size; `halving`: distance between the
    end of this path and that of the same Brownian path at half the step, over the distance travelled; None if it was
    not asked for.
    """

    parameters: PyTree
    model: PyTree
    status: Status
    trajectory: Trajectory
    steps: int
    step: float
    halving: float | None

    @property
    def dataset(self):
        """The saved probes as a labelled `xarray.Dataset`."""
        return self.trajectory.dataset()

    @property
    def certificate(self) -> NoReturn:
        """**Raises:** `ValueError`, with the reason why there is none."""
        raise ValueError(
            "a noisy path has no certificate: the energy identity and the invariants are laws of the flow without "
            "noise. `halving` tells how far half the step leads on the same noise: pass check=True."
        )

    @property
    def events(self) -> NoReturn:
        """**Raises:** `ValueError`, with the reason why there are none."""
        raise ValueError(
            "a noisy path has no exact events: it crosses a level infinitely often around its first crossing, and "
            "between two steps unseen. Take a probe of the event's function and its first saved sign change."
        )


def langevin(
    problem: Problem,
    *,
    t1: float,
    inverse_temperature: float,
    step: float,
    key: Key,
    probes: Mapping[str, Callable[[PyTree], Array] | Probe] | Sequence[Probe | str] | None = None,
    save_times: Sequence[float] | np.ndarray | None = None,
    resolution: float | None = None,
    check: bool = False,
) -> NoisyPath:
    """Overdamped Langevin dynamics from 0 to `t1`:

        dθ = -∇risk(θ) dt + √(2/β) dW.

    Its stationary law has density proportional to exp(-β risk(θ)), where that can be normalised. Steps are equal:
    a step size that answers to an error estimate would answer to the noise. The method (Foster, dos Reis, Strange 2023,
    arXiv:2210.17543, by Diffrax as ShARK) has strong order 3/2 for additive noise, and two gradients a step. The noise
    is a function of `key`, `t1`, `resolution` and time: the same arguments give the same path, at any `step`.

    **Arguments:**

    - `problem`: a `flowsim.Problem`; it runs in its own parameters, without reductions.
    - `t1`: end, > 0.
    - `inverse_temperature`: β > 0.
    - `step`: largest step, > 0; the number of steps is the smallest that reaches `t1`. The risk's largest curvature
      times the step should stay well below 1.
    - `key`: of the Brownian motion.

    The rest can be left alone:

    - `probes`: name -> function or probe, or a list of probes, as in `flowsim.simulate`.
    - `save_times`: 200 logarithmically spaced times by default, each moved to the nearest step; 0 and `t1` are among
      them.
    - `resolution`: time to which the Brownian path is resolved; step/8 by default. Give one to compare steps.
    - `check`: integrate again with half the step on the same noise, for `halving`.

    **Returns:** a `NoisyPath`. A path that is no longer finite is its `status`, not an exception.

    **Raises:** `ValueError` for arguments that cannot be meant, `TypeError` for those of another kind. There are no
    events and no certificate; `NoisyPath.events` and `NoisyPath.certificate` say why.
    """
    numbers = {"t1": t1, "inverse_temperature": inverse_temperature, "step": step}
    numbers |= {} if resolution is None else {"resolution": resolution}
    problem, key = as_problem(problem), _checks.key(key)
    for name, value in numbers.items():
        _checks.positive(name, value)
    count = math.ceil(t1 / step * (1 - 1e-12))
    if count > _LARGEST_STEPS:
        raise ValueError(f"{count} steps are more than {_LARGEST_STEPS}: raise step or lower t1.")
    if resolution is not None and resolution > t1 / count / 2:
        raise ValueError(f"resolution must be at most half the step = {t1 / count / 2:g}, got {resolution}: lower it.")
    chosen = _chosen(problem, as_probes({} if probes is None else probes))
    save_times = None if save_times is None else _checks.numbers("save_times", save_times)
    dtype = _tree.dtype(problem.parameters)
    noise = _Noise(
        jnp.asarray(t1, dtype),
        jnp.asarray(math.sqrt(2 / inverse_temperature), dtype),
        jnp.asarray(t1 / count / 8 if resolution is None else resolution, dtype),
        key,
    )
    saved = _nearest_steps(save_times, t1, count)
    rows, final = jax.device_get(_path(problem, chosen, noise, _grid(t1, count, dtype), jnp.asarray(saved)))
    times, rows, status = _as_far_as_finite(np.linspace(0.0, t1, count + 1)[saved], rows, t1)
    halving = None
    if check:
        ends = jnp.zeros(1, int)
        _, finer = _path(problem, (), noise, _grid(t1, 2 * count, dtype), ends)
        halving = _relative(final, finer, problem.parameters)
    variables = {p.name: _variable(p, rows[p.name]) for p in chosen}
    trajectory = Trajectory(times, rows, variables, standard.coordinates(problem))
    parameters = jax.tree.map(jnp.asarray, final)
    model = problem.model(parameters)
    return NoisyPath(
        model if problem.task is None else parameters, model, status, trajectory, count, t1 / count, halving
    )


class _Noise(eqx.Module):
    """What fixes a Brownian path, and how strongly it drives."""

    end: Float[Array, ""]
    strength: Float[Array, ""]
    resolution: Float[Array, ""]
    key: Key


@eqx.filter_jit
def _path(problem: Problem, chosen: tuple[Probe, ...], noise: _Noise, grid: Float[Array, "steps"], saved):
    """Probes at the steps `saved`, and the parameters at the end. Every saved time is a step's end: no interpolation,
    which would smooth the noise away."""
    flat, unravel = jax.flatten_util.ravel_pytree(problem.parameters)
    drift = diffrax.ODETerm(lambda t, y, args: -jax.grad(lambda x: problem.risk(unravel(x)))(y))
    brownian = diffrax.VirtualBrownianTree(
        jnp.zeros_like(noise.end),
        noise.end,
        tol=noise.resolution,
        shape=jax.ShapeDtypeStruct(flat.shape, flat.dtype),
        key=noise.key,
        levy_area=diffrax.SpaceTimeLevyArea,
    )
    diffusion = lineax.DiagonalLinearOperator(jnp.full_like(flat, noise.strength))
    terms = diffrax.MultiTerm(drift, diffrax.ControlTerm(lambda t, y, args: diffusion, brownian))

    def measure(t, y, args):
        parameters = unravel(y)
        return standard.measure_all(chosen, Moment(problem, t, parameters, Lift(problem, None)))

    solution = diffrax.diffeqsolve(
        terms,
        diffrax.ShARK(),
        grid[0],
        grid[-1],
        None,
        flat,
        saveat=diffrax.SaveAt(subs=[diffrax.SubSaveAt(ts=grid[saved], fn=measure), diffrax.SubSaveAt(t1=True)]),
        stepsize_controller=diffrax.StepTo(grid),
        adjoint=diffrax.ForwardMode(),
        max_steps=len(grid),
        throw=False,
    )
    assert solution.ys is not None
    rows, ends = solution.ys
    return rows, unravel(ends[0])


def _chosen(problem: Problem, mine: tuple[Probe, ...]) -> tuple[Probe, ...]:
    chosen = standard.standard(problem) + mine
    names = [probe.name for probe in chosen]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two probes are named {twice[0]!r}: every probe needs a name of its own.")
    return chosen


def _nearest_steps(save_times, t1: float, count: int) -> np.ndarray:
    times = saving.log_times(t1) if save_times is None else saving.with_ends(save_times, t1)
    return np.unique(np.round(times / t1 * count).astype(int))


def _grid(t1: float, count: int, dtype) -> Float[Array, "steps"]:
    return jnp.asarray(np.linspace(0.0, t1, count + 1), dtype)


def _as_far_as_finite(times: np.ndarray, rows: dict[str, np.ndarray], t1: float):
    """What was saved before the path left the finite numbers."""
    good = np.all([np.isfinite(v.reshape(len(v), -1)).all(axis=1) for v in rows.values()], axis=0)
    if good.all():
        return times, rows, Status("done", t1, "reached the end")
    last = max(int(np.argmin(good)), 1)
    status = Status("not_finite", float(times[last - 1]), "the path is no longer finite", "lower step")
    return times[:last], {name: values[:last] for name, values in rows.items()}, status


def _variable(probe: Probe, values: np.ndarray) -> Variable:
    axes = tuple(f"{probe.name}_axis_{i}" for i in range(values.ndim - 1))
    return Variable(axes if probe.dims is None else probe.dims, probe.long_name, probe.units)


def _relative(path: PyTree, other: PyTree, start: PyTree) -> float:
    travelled = float(_tree.norm(_tree.subtract(other, start)))
    return float(_tree.norm(_tree.subtract(path, other))) / max(travelled, float(jnp.finfo(_tree.dtype(start)).tiny))
