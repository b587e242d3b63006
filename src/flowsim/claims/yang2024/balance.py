"""Lemmas 4.4 and 4.5: the automatic balancing of gradients."""

import numpy as np

from ..claim import Claim
from ..condition import above, below
from ..finding import Curve, Finding
from .constants import Constants
from .evidence import Evidence
from .premise import in_phase2


@in_phase2
def _gap(evidence: Evidence, constants: Constants) -> Finding:
    _, gap, error = evidence.series("balance_gap", evidence.T1 or 0.0, evidence.T2)
    time, whole, _ = evidence.series("balance_gap")
    measured = {"largest |Σ_I2 - Σ_I3| / min": float(np.max(np.abs(gap))), "at T2": float(gap[-1])}
    curve = Curve(time, {"(Σ_I2 - Σ_I3) / min": whole}, {"bound": constants.balanced, "-bound": -constants.balanced})
    return Finding(measured, (below(np.abs(gap), constants.balanced, error),), curve=curve)


@in_phase2
def _ratio(evidence: Evidence, constants: Constants) -> Finding:
    time, R, error = evidence.series("balance_ratio", evidence.T1 or 0.0, evidence.T2)
    _, root, _ = evidence.series("balance_root", evidence.T1 or 0.0, evidence.T2)
    measured = {
        "least R": float(np.min(R)),
        "largest R": float(np.max(R)),
        "R at T2": float(R[-1]),
        "R* at T1": float(root[0]),
        "R* at T2": float(root[-1]),
    }
    curve = Curve(time, {"R": R, "R*": root}, {"1": 1.0, "2": 2.0})
    return Finding(measured, (above(R, 1.0, error), below(R, 2.0, error)), curve=curve)


@in_phase2
def _losses(evidence: Evidence, constants: Constants) -> Finding:
    time, rates, errors = evidence.series("loss_by_group_rate", evidence.T1 or 0.0, evidence.T2)
    exponents, error = time[:, None] * rates, time[-1] * np.sum(errors[-1, :3])
    names = ("both", "first", "second", "neither")
    measured = {f"exponent of {name} at T2": float(exponents[-1, k]) for k, name in enumerate(names)}
    # The lemma balances the groups that hold a target; the fourth has a margin of its own, and falls faster.
    spread = float(np.ptp(exponents[-1, :3]))
    curve = Curve(time, {name: exponents[:, k] for k, name in enumerate(names)})
    return Finding({**measured, "largest difference": spread}, (below(spread, constants.exponent, error),), curve=curve)


CLAIMS = (
    Claim(
        "Lemma 4.4",
        "Lemma 4.4",
        "The gradients of the two groups that hold one target balance.",
        "|Σ_I2 g - Σ_I3 g| / min below `balanced` on (T1, T2)",
        _gap,
    ),
    Claim(
        "Lemma 4.5",
        "Lemma 4.5",
        "The ratio R of the groups' gradient gaps is drawn to a root between 1 and 2.",
        "1 < R < 2 on (T1, T2); the root R* is reported",
        _ratio,
    ),
    Claim(
        "Lemma 4.5 (losses)",
        "Lemmas 4.4 and 4.5",
        "The losses of the groups that hold a target fall at the same rate.",
        "their local exponents in t at T2 differ by less than `exponent`",
        _losses,
    ),
)
