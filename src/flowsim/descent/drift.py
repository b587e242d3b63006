"""What a comparison of an optimizer's steps with the flow found: distances, shifts of events, stability."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True)
class EventShift:
    """The first crossing of an event, on the flow (solved for) and on descent (linear between two steps).

    A time is None where the event did not happen.
    """

    flow: float | None
    descent: float | None

    @property
    def shift(self) -> float | None:
        """Descent's time less the flow's."""
        return None if self.flow is None or self.descent is None else self.descent - self.flow


@dataclasses.dataclass(frozen=True)
class Drift:
    """What `against_flow` returns. Distances are relative: ‖θ_k - θ(t_k)‖ at t_k = k · `step_time`, over the distance
    travelled, max_k ‖θ(t_k) - θ(0)‖.

    **Fields:**

    - `optimizer`, `against`: names of the two, for labels.
    - `recorded`, `distance`: step numbers from 1, and the distance there; as far as it is finite.
    - `final_distance`: after the last step; `largest_distance`: over all steps, with `largest_step`. Infinite where
      descent diverged.
    - `tube`: ε; `exit_step`: the first step with a distance above ε, None if there is none.
    - `events`: name -> `EventShift`.
    - `edge_recorded`, `edge`: step numbers, and η · sharpness of the risk at descent's parameters there.
    - `edge_limit`: where descent on a quadratic is stable no longer: 2, or 2 (1 + β) with momentum; None if unknown.
    """

    optimizer: str
    against: str
    learning_rate: float
    step_time: float
    steps: int
    recorded: np.ndarray
    distance: np.ndarray
    final_distance: float
    largest_distance: float
    largest_step: int
    tube: float
    exit_step: int | None
    events: Mapping[str, EventShift]
    edge_recorded: np.ndarray
    edge: np.ndarray
    edge_limit: float | None

    @property
    def end(self) -> float:
        """Time of the last step."""
        return self.steps * self.step_time

    @property
    def exit_time(self) -> float | None:
        """Time of `exit_step`."""
        return None if self.exit_step is None else self.exit_step * self.step_time

    @property
    def beyond_edge(self) -> float | None:
        """The first recorded time at which η · sharpness is above the limit; None if there is none."""
        if self.edge_limit is None or not np.any(self.edge > self.edge_limit):
            return None
        return float(self.edge_recorded[np.argmax(self.edge > self.edge_limit)] * self.step_time)

    def dataset(self):
        """As an `xarray.Dataset`: `flow_distance(distance_time)` and, if it was measured, `stability(edge_time)`."""
        import xarray  # kept out of `import flowsim`, which loads JAX's family only

        data = {"flow_distance": ("distance_time", self.distance, {"long_name": _DISTANCE, "units": "1"})}
        coordinates = {"distance_time": self.recorded * self.step_time}
        about = {
            "optimizer": self.optimizer, "against": self.against, "learning_rate": self.learning_rate,
            "tube": self.tube, "end": self.end, "final_distance": _json(self.final_distance),
            "edge_limit": self.edge_limit, "exit_time": self.exit_time,
        }  # fmt: skip
        if len(self.edge):
            data["stability"] = ("edge_time", self.edge, {"long_name": "learning rate × sharpness", "units": "1"})
            coordinates["edge_time"] = self.edge_recorded * self.step_time
        return xarray.Dataset(data, coordinates, {k: v for k, v in about.items() if v is not None})

    def record(self) -> dict:
        """As plain data, for `summary.json`: what is not finite is None."""
        return {
            "optimizer": self.optimizer,
            "against": self.against,
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "time": self.end,
            "final_distance": _json(self.final_distance),
            "largest_distance": _json(self.largest_distance),
            "largest_distance_time": self.largest_step * self.step_time,
            "tube": self.tube,
            "exit_step": self.exit_step,
            "exit_time": self.exit_time,
            "events": {k: {"flow": e.flow, "descent": e.descent, "shift": e.shift} for k, e in self.events.items()},
            "edge": None if not len(self.edge) else {
                "limit": self.edge_limit, "largest": float(np.max(self.edge)), "first_time_beyond": self.beyond_edge
            },
        }  # fmt: skip


_DISTANCE = "distance of descent from the flow over the distance travelled"


def _json(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
