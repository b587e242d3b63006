"""Claims of a user's own, judged on a problem."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, PyTree

from ._simulate import simulate
from .claims import Claim, Evidence, Verdicts
from .events import Event
from .flows import AbstractFlow
from .probes import Probe
from .problem import Problem


def verify(
    problem: Problem,
    claims: Claim | Sequence[Claim],
    *,
    t1: float,
    events: Sequence[Event] = (),
    probes: Mapping[str, Callable[[PyTree], Array] | Probe] | None = None,
    save_times: Sequence[float] | np.ndarray | None = None,
    rtol: float = 1e-9,
    atol: float = 1e-12,
    flow: AbstractFlow | None = None,
    **options: Any,
) -> Verdicts:
    """Run a problem with a certificate and judge claims on it.

    What the claims themselves need (`Claim.probes`, `Claim.events`) is measured beside `probes` and `events`.

    **Arguments:** `claims`: made by `flowsim.claim`; the rest as of `flowsim.simulate`, with tighter tolerances by
    default, because a claim is decided by the run's error bounds.

    **Returns:** the verdicts, in the order of the claims: a sequence that prints as a table.

    **Raises:** as `flowsim.simulate`; `ValueError` for two claims of one id.
    """
    claims = (claims,) if isinstance(claims, Claim) else tuple(claims)
    ids = [claim.id for claim in claims]
    if len(set(ids)) < len(ids):
        raise ValueError(f"two claims have one id: {', '.join(sorted({i for i in ids if ids.count(i) > 1}))}.")
    result = simulate(
        problem,
        t1=t1,
        events=watched(claims, events),
        probes=measured(claims, probes or {}),
        save_times=save_times,
        rtol=rtol,
        atol=atol,
        flow=flow,
        certificate=True,
        **options,
    )
    evidence = Evidence(problem, result)
    return Verdicts([claim.verdict(evidence) for claim in claims], evidence)


def watched(claims: Sequence[Claim], events: Sequence[Event]) -> list[Event]:
    """The given events, and those that the claims need beside them."""
    found = {event.name: event for claim in claims for event in claim.events}
    return list((found | {event.name: event for event in events}).values())


def measured(claims: Sequence[Claim], probes: Mapping[str, Any]) -> dict[str, Any]:
    """The given probes, and those that the claims need beside them."""
    return {name: probe for claim in claims for name, probe in claim.probes.items()} | dict(probes)
