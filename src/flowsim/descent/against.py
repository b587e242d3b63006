"""How far an optimizer's steps are from the flow, on the clock t = kη."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _checks, _tree, flows, probes, solvers
from ..events import Event
from ..problem import Problem
from ..simulation import Prepared, Settings, prepare
from ..simulation.arguments import as_events, as_problem
from .beside import Steps, beside
from .descend import recorded
from .drift import Drift, EventShift
from .optimizer import Optimizer
from .track import Descent, Track


@dataclasses.dataclass(frozen=True)
class Against:
    """The flow that an optimizer is held against, and what is compared.

    **Fields:**

    - `learning_rate`, `steps`: η, and how many steps are compared.

    The rest can be left alone:

    - `flow`: the gradient flow by default. `events`: whose first crossings are compared; none is terminal here.
    - `tube`: ε of the tube around the flow, whose radius is ε × the distance travelled.
    - `step_time`: the time that a step takes, if it is not η.
    - `edge_points`: at how many steps, spaced logarithmically, to measure the sharpness (24 Hessian-vector products
      each); `edge_limit`: the largest η · sharpness at which the optimizer is stable, None if there is no such number.
    - `points`: at how many steps the distance is recorded; tube, events and largest distance look at all of them.
    - `optimizer`, `against`: names for labels.
    - `reduction`: of the flow and of descent. Only optimizers that are orthogonally equivariant, such as `optax.sgd`
      with or without momentum, may take another than `none`: `auto` saves most of the work.
    - `solver`, `rtol`, `atol`, `step`, `max_steps`, `compensated`: of the flow, as for `flowsim.simulate`; by default
      tight enough (1e-11, if the precision allows it) to leave the distance to descent.

    **Raises:** `ValueError` for what cannot be meant, `TypeError` for an argument of another kind.
    """

    learning_rate: float
    steps: int
    flow: flows.AbstractFlow | None = None
    events: Sequence[Event | str] = ()
    tube: float = 0.01
    step_time: float | None = None
    edge_points: int = 0
    edge_limit: float | None = 2.0
    points: int = 200
    optimizer: str = "sgd"
    against: str = "gradient flow"
    reduction: str = "none"
    solver: str = "auto"
    rtol: float | None = None
    atol: float | None = None
    step: float | None = None
    max_steps: int = 1_000_000
    compensated: bool | None = None

    def __post_init__(self):
        for name in ("learning_rate", "tube", "step_time", "edge_limit"):
            if name in ("learning_rate", "tube") or getattr(self, name) is not None:
                _checks.positive(name, getattr(self, name))
        for name, least in (("steps", 1), ("points", 2), ("edge_points", 0)):
            object.__setattr__(self, name, _checks.count(name, getattr(self, name), least=least))
        for name in ("optimizer", "against"):
            _checks.instance(getattr(self, name), str, f"{name} must be a name for labels")
        if self.reduction == "gram":
            raise ValueError("the Gram system has no parameters to compare: use reduction auto, rotation or none.")

    @property
    def clock(self) -> float:
        """Time of one step."""
        return self.learning_rate if self.step_time is None else self.step_time

    def prepared(self, problem: Problem) -> Prepared:
        """The flow, which saves at every step's time."""
        problem = as_problem(problem)
        times = self.clock * np.arange(self.steps + 1)
        smallest = solvers.smallest_rtol(_tree.dtype(problem.parameters))
        rtol = max(1e-11, smallest) if self.rtol is None else self.rtol
        atol = rtol * 1e-2 if self.atol is None else self.atol
        return prepare(
            problem,
            Settings(
                float(times[-1]), self.solver, rtol, atol, self.step, self.max_steps, compensated=self.compensated
            ),
            events=[dataclasses.replace(event, terminal=False) for event in as_events(self.events)],
            save_times=times,
            flow=self.flow,
            reduction=self.reduction,
        )


def against_flow(problem: Problem, transformation: Optimizer, **options: Any) -> Drift:
    """Take an optimizer's steps with the flow beside them: at every step the flow is read at t = k · `step_time`.

    **Arguments:** `problem`, `transformation`: any Optax optimizer, from the problem's start. `options`: the fields of
    `Against`, of which `learning_rate` and `steps` are needed.

    **Raises:** `ValueError` for what cannot be meant, or if the flow fails before the last step; `TypeError` for an
    argument of another kind.
    """
    against = Against(**options)
    prepared = against.prepared(problem)
    track = Track(problem, prepared.reduction, transformation, against.clock, np.zeros(0, int))
    return _drift(against, prepared, track)


def beside_flow(
    problem: Problem, transformation: Optimizer, against: Against, *, steps: int, points: int = 200, label: str = ""
) -> tuple[Descent, Drift]:
    """`descend` and `against_flow` in one: the steps are taken once.

    **Arguments:** `steps`: how many are taken; the first `against.steps` are compared. `points`, `label`: as of
    `descend`.

    **Raises:** as `against_flow`.
    """
    prepared = against.prepared(problem)
    track = Track(problem, prepared.reduction, transformation, against.clock, recorded(steps, points))
    drift = _drift(against, prepared, track)
    if track.done < steps:
        track.until(steps)
    return track.descent(label, against.learning_rate), drift


def _drift(against: Against, prepared: Prepared, track: Track) -> Drift:
    steps, tube, times = against.steps, against.tube, prepared.save_times
    at = _spread(steps, against.edge_points) if against.edge_points else np.zeros(0, int)
    edge = probes.sharpness() if against.edge_points else None
    found = beside(prepared, track, edge=edge, at=at)
    if not found.status.ok:
        status = found.status
        raise ValueError(f"the flow ended at t = {status.time:g}, {status.message}: {status.remedy}.")
    relative = _relative(found)
    inside = relative <= tube  # False where descent is not finite
    shown = _spread(steps, against.points)
    shown = shown[np.isfinite(relative[shown])]
    at = at[np.isfinite(found.sharpness[at])]
    largest = int(np.argmax(relative))
    shifts = {}
    for i, event in enumerate(prepared.plan.events):
        crossed = _first_crossing(times, found.conditions[:, i], event.direction)
        shifts[event.name] = EventShift(found.crossings.get(event.name), crossed)
    return Drift(
        optimizer=against.optimizer,
        against=against.against,
        learning_rate=against.learning_rate,
        step_time=against.clock,
        steps=steps,
        recorded=shown,
        distance=relative[shown],
        final_distance=float(relative[-1]),
        largest_distance=float(relative[largest]),
        largest_step=largest,
        tube=tube,
        exit_step=None if inside.all() else int(np.argmin(inside)),
        events=shifts,
        edge_recorded=at,
        edge=against.learning_rate * found.sharpness[at],
        edge_limit=against.edge_limit,
    )


def _spread(steps: int, points: int) -> np.ndarray:
    """About so many step numbers from 1 to the last, spaced logarithmically."""
    return np.unique(np.round(np.geomspace(1, steps, points)).astype(np.int64))


def _relative(found: Steps) -> np.ndarray:
    """Distance over the farthest that the flow gets from its start, infinite where descent is not finite.

    Not over the distance travelled so far: of the first step, of length η‖g‖, every descent misses the part η‖Hg‖/2‖g‖,
    and would leave its tube at once. Not over that at the end: momentum may come back.
    """
    travelled = max(found.travelled, float(np.finfo(found.distance.dtype).tiny))
    return np.where(np.isfinite(found.distance), found.distance / travelled, np.inf)


def _first_crossing(times: np.ndarray, values: np.ndarray, direction: str) -> float | None:
    """Where the straight lines between a condition's values at the steps first cross 0 in this direction."""
    signs = np.sign(values)
    for k in range(1, len(signs)):  # a step that hits 0 exactly has not crossed yet
        signs[k] = signs[k] or signs[k - 1]
    jump = np.diff(signs)  # NaN, where descent has diverged, is no crossing
    wanted = {"up": jump > 0, "down": jump < 0, "both": np.isfinite(jump) & (jump != 0)}[direction]
    wanted &= signs[:-1] != 0  # a start at exactly 0 has no side to come from
    if not wanted.any():
        return None
    k = int(np.argmax(wanted))
    here, there = values[k], values[k + 1]
    return float(times[k] + (times[k + 1] - times[k]) * here / (here - there))
