"""Influence of the samples: derivatives of an event's time or of a final value by every sample's weight."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from .. import _tree, flows
from ..events import Event
from ..moment import Lift, Moment
from ..problem import Problem
from ..simulation import Settings, run
from ..simulation import prepare as prepare_run
from ..solvers import tableau
from .adjoint import Back, Recorder, backwards

_SAFETY, _TIGHTER = 4.0, 16.0


@dataclasses.dataclass(frozen=True)
class Influence:
    """Derivatives of one number of a run by every sample's weight, at weights 1 (or those of the problem).

    **Fields:**

    - `of`: what was differentiated; `value`: its value, None for an event that never happens.
    - `derivatives`: by the weight of each sample; None for such an event.
    - `errors`: bound on the error of each; None without a certificate.
    - `run_evaluations`, `adjoint_evaluations`: gradients of the run, and of the backward pass (a vector-Jacobian
      product of the velocity counted as two).
    - `groups`, `group_names`: of the samples, None and empty where there are none.
    """

    of: str
    value: float | None
    derivatives: np.ndarray | None
    errors: np.ndarray | None
    run_evaluations: int
    adjoint_evaluations: int
    groups: np.ndarray | None
    group_names: tuple[str, ...]

    @property
    def dataset(self) -> Any:
        """`influence(sample)` with its error and group, as an `xarray.Dataset`."""
        import xarray  # kept out of `import flowsim`

        if self.derivatives is None:
            raise ValueError(f"{self.of} never happens: there is nothing to differentiate.")
        about = {"long_name": f"d({self.of})/d(weight of the sample)", "units": "1"}
        data: dict[str, Any] = {"influence": ("sample", self.derivatives, about)}
        if self.errors is not None:
            data["influence_error"] = ("sample", self.errors, {"long_name": "error bound of the influence"})
        if self.groups is not None:
            data["group"] = ("sample", [self.group_names[i] for i in self.groups])
        return xarray.Dataset(data, coords={"sample": np.arange(len(self.derivatives))})

    def by_group(self) -> dict[str, float]:
        """The sum over the samples of each group: the derivative by a weight that they share."""
        if self.groups is None or self.derivatives is None:
            raise ValueError("the samples have no groups, or the event never happens.")
        return {name: float(np.sum(self.derivatives[self.groups == i])) for i, name in enumerate(self.group_names)}


def influence(
    problem: Problem,
    *,
    t1: float,
    of: str | Event | Callable[[PyTree], Array] = "loss",
    solver: str = "auto",
    rtol: float = 1e-8,
    atol: float = 1e-10,
    flow: flows.AbstractFlow | None = None,
    reduction: str = "auto",
    certificate: bool = True,
    max_steps: int = 1_000_000,
) -> Influence:
    """How every sample's weight moves one number of a run, by one backward pass through its steps.

        risk(θ, w) = (1/n) Σ w_i ℓ_i(θ),    influence_i = dφ/dw_i

    with φ the final loss, the first time of an event, or a function of the final model. The exact adjoint of the steps
    that the run took; for n samples it costs about three times the run, whatever n. `flowsim.sensitivity` gives the
    same derivatives along a few directions, and of the whole path.

    **Arguments:** `of`: `"loss"`, an event (its first crossing), or `function(model)` of the final model, such as a
    loss on other samples. `certificate`: bound the errors by a second pass at a tolerance 16 times tighter, which
    doubles the cost. The others as of `flowsim.simulate`; `solver` must be an explicit Runge-Kutta method.

    **Raises:** `ValueError` for a problem without samples, and for solvers without an adjoint. A run that fails
    numerically raises `RuntimeError` with its status: there is nothing to differentiate.

    **Reference:** Koh, Liang (2017), Understanding black-box predictions via influence functions (at a minimum);
    Hara, Nitanda, Maehara (2019), Data cleansing for models trained with SGD (through the training).
    """
    samples = problem.samples
    if of != "loss" and not isinstance(of, Event) and not callable(of):
        raise ValueError(f"of must be 'loss', an event, or a function of the final model, got {of!r}.")
    settings = Settings(t1, solver, rtol, atol, None, max_steps)
    found = _pass(problem, of, settings, flow or flows.gradient(), reduction)
    errors = None
    if certificate and found.derivatives is not None:
        tight = dataclasses.replace(settings, rtol=max(rtol / _TIGHTER, 2.5e-14), atol=atol / _TIGHTER)
        again = _pass(problem, of, tight, flow or flows.gradient(), reduction)
        if again.derivatives is not None:
            scale = np.max(np.abs(found.derivatives))
            errors = _SAFETY * np.abs(found.derivatives - again.derivatives) + 64 * np.finfo(float).eps * scale
    groups = None if samples.groups is None else np.asarray(samples.groups)
    names = samples.group_names if groups is not None else ()
    return Influence(_name(of), found.value, found.derivatives, errors, *found.cost, groups, tuple(names))


class _Found(NamedTuple):
    value: float | None
    derivatives: np.ndarray | None
    cost: tuple[int, int]


def _pass(problem: Problem, of: Any, settings: Settings, flow: flows.AbstractFlow, reduction: str) -> _Found:
    """The run, step by step, and back."""
    problem = _weighted(problem)
    event = dataclasses.replace(of, terminal=True) if isinstance(of, Event) else None
    events = () if event is None else (event,)
    prepared = prepare_run(problem, settings, events=events, flow=flow, reduction=reduction,
                           save_times=[0.0, settings.t1])  # fmt: skip
    coefficients = tableau(prepared.plan.method, prepared.plan.end.high.dtype)
    steps = Recorder()
    history = run(dataclasses.replace(prepared, chunk_steps=1, stiff=()), steps)
    carry: Any = history.carry
    spent = int(carry.evaluations) + history.event_evaluations
    if history.status is None or not history.status.ok:
        raise RuntimeError(f"the run has no end to differentiate: {history.status}")
    if event is not None and not history.crossings:
        return _Found(None, None, (spent, 0))
    unravel = jax.flatten_util.ravel_pytree(carry.state.flow)[1]
    field = _Field(prepared.plan.problem, flow, unravel)
    value, end = _end(field, prepared.plan.lift, of, carry.clock.value, carry.state.flow)
    back = backwards(field, coefficients, steps, prepared.plan.problem.weights, end)
    replay = 3 if steps.stride == 1 else 4
    cost = flow.traits.gradients * replay * len(steps.sizes) * len(coefficients.b)
    return _Found(float(value), np.asarray(back.w), (spent, cost))


class _Field(eqx.Module):
    """The velocity as a function of flat states and of the samples' weights."""

    problem: Problem
    flow: flows.AbstractFlow
    unravel: Callable = eqx.field(static=True)

    def __call__(self, t: Array, y: Array, w: Array) -> Array:
        velocity, _ = self.flow.velocity(self.with_weights(w), t, self.unravel(y))
        return jax.flatten_util.ravel_pytree(velocity)[0]

    def with_weights(self, w: Array) -> Problem:
        return eqx.tree_at(lambda p: p.weights, self.problem, w)

    def moment(self, t: Array, y: Array, w: Array, lift: Lift) -> Moment:
        state = self.unravel(y)
        return Moment(self.with_weights(w), t, self.flow.parameters(state), lift, self.flow, state)


@eqx.filter_jit
def _end(field: _Field, lift: Lift, of: Any, t: Array, state: PyTree) -> tuple[Array, Back]:
    """The number that is differentiated, and its derivatives at the end of the run."""
    y, w = jax.flatten_util.ravel_pytree(state)[0], field.problem.weights
    if isinstance(of, Event):
        parts = of.parts(field.moment(t, y, w, lift))
        active = jnp.argmin(parts)

        def value(t, y, w):
            return of.parts(field.moment(t, y, w, lift))[active]

        rate = jax.jvp(lambda t, y: value(t, y, w), (t, y), (jnp.ones_like(t), field(t, y, w)))[1]
        by_y, by_w = jax.grad(value, argnums=(1, 2))(t, y, w)
        return t, Back(-by_y / rate, -by_w / rate)  # of the time at which the value is 0

    def final(y, w):
        moment = field.moment(t, y, w, lift)
        return moment.problem.risk(moment.parameters) if of == "loss" else jnp.asarray(of(moment.user_parameters))

    number, (by_y, by_w) = jax.value_and_grad(final, argnums=(0, 1))(y, w)
    return number, Back(by_y, by_w)


def _weighted(problem: Problem) -> Problem:
    """The problem with its weights as an array."""
    if problem.weights is not None:
        return problem
    ones = jnp.ones(problem.samples.samples, _tree.dtype(problem.parameters))
    return eqx.tree_at(lambda p: p.weights, problem, ones, is_leaf=lambda x: x is None)


def _name(of: Any) -> str:
    return of if isinstance(of, str) else of.name if isinstance(of, Event) else getattr(of, "__name__", "value")
