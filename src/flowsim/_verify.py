"""Claims of a user's own, judged on a problem."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, PyTree

from . import _checks, _tree
from ._simulate import simulate
from .claims import Claim, Evidence, Verdicts
from .claims.needs import events_of, probes_of
from .events import Event
from .flows import AbstractFlow
from .probes import Probe
from .problem import Problem
from .simulation.arguments import as_events, as_probes, as_problem


def verify(
    problem: Problem,
    claims: Claim | Sequence[Claim],
    *,
    t1: float,
    events: Sequence[Event | str] = (),
    probes: Mapping[str, Callable[[PyTree], Array] | Probe] | Sequence[Probe | str] | None = None,
    save_times: Sequence[float] | np.ndarray | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    flow: AbstractFlow | None = None,
    **options: Any,
) -> Verdicts:
    """Run a problem with a certificate and judge claims on it.

    What the claims themselves need (`Claim.probes`, `Claim.events`) is measured beside `probes` and `events`.

    **Arguments:** `claims`: made by `flowsim.claim`; the rest as of `flowsim.simulate`, in float64 with tighter
    tolerances by default (1e-9 and 1e-12), because a claim is decided by the run's error bounds.

    **Returns:** the verdicts, in the order of the claims: a sequence that prints as a table.

    **Raises:** as `flowsim.simulate`; `TypeError` for anything but claims; `ValueError` for two claims of one id, or
    with different probes or events of one name.
    """
    claims = (claims,) if isinstance(claims, Claim) else tuple(claims)
    for one in claims:
        _checks.instance(one, Claim, "a claim must be what flowsim.claim makes of a function")
    ids = [claim.id for claim in claims]
    if len(set(ids)) < len(ids):
        raise ValueError(f"two claims have one id: {', '.join(sorted({i for i in ids if ids.count(i) > 1}))}.")
    if _tree.dtype(as_problem(problem).parameters) == np.float64:
        rtol, atol = 1e-9 if rtol is None else rtol, 1e-12 if atol is None else atol
    result = simulate(
        problem,
        t1=t1,
        events=events_of(claims, as_events(events)),
        probes=probes_of(claims, as_probes(() if probes is None else probes)),
        save_times=save_times,
        rtol=rtol,
        atol=atol,
        flow=flow,
        certificate=True,
        **options,
    )
    evidence = Evidence(problem, result)
    return Verdicts([claim.verdict(evidence) for claim in claims], evidence)
