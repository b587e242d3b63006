"""Claims that are judged on the same run, and what that run must measure for them."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from ..problem import Problem
from ..result import Result
from ..simulation import Prepared
from ..tasks import Task
from .claim import Claim
from .evidence import Evidence
from .needs import events_of, probes_of
from .scaling import Law

Fresh = Callable[[int], Task | None]
"""Number of samples -> new ones from the law of the training samples, None if there is no such law."""


class AbstractTheory(abc.ABC):
    """Claims, power laws, and how a run is made evidence for them.

    **Fields:** `claims`, `laws`; `constants`: the numbers that the rules leave open, None if there are none.
    """

    claims: tuple[Claim, ...]
    laws: tuple[Law, ...]
    constants: Any

    @abc.abstractmethod
    def instrument(self, problem: Problem, prepared: Prepared) -> Prepared:
        """The run with the probes and events that the claims need."""

    @abc.abstractmethod
    def observe(self, problem: Problem, prepared: Prepared, result: Result, fresh: Fresh) -> Any:
        """The evidence of a run that was so prepared; the result is certified if the run's settings ask for it."""

    @abc.abstractmethod
    def speed(self, problem: Problem) -> float | None:
        """How fast training begins: runs of other sizes are stretched by it, to end at the same stage. None: not."""


@dataclasses.dataclass(frozen=True)
class Theory(AbstractTheory):
    """Claims and laws of a user's, which measure and watch what each of them says."""

    claims: tuple[Claim, ...]
    laws: tuple[Law, ...] = ()
    constants: Any = None

    def __post_init__(self):
        ids = [one.id for one in (*self.claims, *self.laws)]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"two claims have one id: {', '.join(twice)}.")

    def instrument(self, problem: Problem, prepared: Prepared) -> Prepared:
        """**Raises:** `ValueError` for two probes or events of one name that differ."""
        plan, statements = prepared.plan, (*self.claims, *self.laws)
        probes, events = probes_of(statements, plan.probes), events_of(statements, plan.events)
        plan = dataclasses.replace(plan, probes=tuple(probes), events=tuple(events))
        return dataclasses.replace(prepared, plan=plan)

    def observe(self, problem: Problem, prepared: Prepared, result: Result, fresh: Fresh) -> Evidence:
        return Evidence(problem, result)

    def speed(self, problem: Problem) -> None:
        return None


def together(parts: Sequence[Any]) -> AbstractTheory:
    """One theory of claims and laws, or the one whole theory that is given.

    **Raises:** `ValueError` for a whole theory beside other claims; `TypeError` for anything else.
    """
    whole = [part for part in parts if isinstance(part, AbstractTheory)]
    if whole:
        if len(parts) > 1:
            raise ValueError("a whole theory cannot be judged together with other claims; verify them one by one.")
        return whole[0]
    claims = tuple(part for part in parts if isinstance(part, Claim))
    laws = tuple(part for part in parts if isinstance(part, Law))
    if len(claims) + len(laws) < len(parts):
        wrong = next(part for part in parts if not isinstance(part, Claim | Law))
        raise TypeError(f"claims must be made by flowsim.claim, got {type(wrong).__name__}.")
    return Theory(claims, laws)
