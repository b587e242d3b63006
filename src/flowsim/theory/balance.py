"""Lemmas 4.4 and 4.5: the automatic balancing of gradients."""

import numpy as np

from ._claim import Claim, Constants, Curve, Finding, above, below
from ._evidence import Evidence
from ._premise import in_phase2


@in_phase2
def _gap(evidence: Evidence, constants: Constants) -> Finding:
    _, gap, error = gap_of_targets(evidence, evidence.T1 or 0.0, evidence.T2)
    time, whole, _ = gap_of_targets(evidence)
    measured = {"largest |Σ_I2 - Σ_I3| / min": float(np.max(np.abs(gap))), "at T2": float(gap[-1])}
    curve = Curve(time, {"(Σ_I2 - Σ_I3) / min": whole}, {"bound": constants.balanced, "-bound": -constants.balanced})
    return Finding(measured, (below(np.abs(gap), constants.balanced, error),), curve=curve)


@in_phase2
def _ratio(evidence: Evidence, constants: Constants) -> Finding:
    time, R, error = ratio(evidence, evidence.T1 or 0.0, evidence.T2)
    _, root = ratio_root(evidence, evidence.T1 or 0.0, evidence.T2)
    measured = {
        "least R": float(np.min(R)), "largest R": float(np.max(R)), "R at T2": float(R[-1]),
        "R* at T1": float(root[0]), "R* at T2": float(root[-1]),
    }  # fmt: skip
    curve = Curve(time, {"R": R, "R*": root}, {"1": 1.0, "2": 2.0})
    return Finding(measured, (above(R, 1.0, error), below(R, 2.0, error)), curve=curve)


@in_phase2
def _losses(evidence: Evidence, constants: Constants) -> Finding:
    start = max(evidence.T1 or 0.0, evidence.T2 / 10)
    time, losses, errors = evidence.series("loss_by_group", start, evidence.T2)
    if len(time) < 3 or time[-1] < 3 * time[0]:
        return Finding({}, reason="phase 2 is shorter than half a decade: raise flow.t1")
    slopes = np.array([np.polyfit(np.log(time), np.log(losses[:, k]), 1)[0] for k in range(4)])
    relative = np.max(errors / losses, axis=0) * 2 / np.log(time[-1] / time[0])
    names = ("both", "first", "second", "neither")
    measured = {f"exponent of {name}": float(slope) for name, slope in zip(names, slopes, strict=True)}
    # The lemma balances the groups that hold a target; the fourth only has to fall no more slowly.
    spread = np.max(slopes[:3]) - np.min(slopes[:3])
    return Finding(
        {**measured, "largest difference": float(spread)},
        (below(spread, constants.exponent, np.sum(relative[:3])),),
        curve=Curve(time, dict(zip(names, losses.T, strict=True))),
    )


def gap_of_targets(evidence: Evidence, start: float = 0.0, end: float = np.inf):
    """(times, (Σ_I2 g - Σ_I3 g)/min(Σ_I2 g, Σ_I3 g), error)."""
    time, sums, errors = evidence.series("gradient_sum", start, end)
    smaller = np.minimum(sums[:, 1], sums[:, 2])
    gap = (sums[:, 1] - sums[:, 2]) / smaller
    return time, gap, (1 + np.abs(gap)) * (errors[:, 1] + errors[:, 2]) / smaller


def ratio(evidence: Evidence, start: float = 0.0, end: float = np.inf):
    """(times, R, error) with R = (Σ_{I2∪I3∪I4} g - Σ_I1 g)/(Σ_I1 g - Σ_I2 g)."""
    time, sums, errors = evidence.series("gradient_sum", start, end)
    pull = sums[:, 0] - sums[:, 1]
    R = (np.sum(sums[:, 1:], axis=1) - sums[:, 0]) / pull
    return time, R, (np.sum(errors, axis=1) + np.abs(R) * (errors[:, 0] + errors[:, 1])) / np.abs(pull)


def ratio_root(evidence: Evidence, start: float = 0.0, end: float = np.inf):
    """(times, R*): the attracting root of A R² + B R + C, from the sums of |g'| over the groups (Equation 16)."""
    time, sums, _ = evidence.series("curvature_sum", start, end)
    s1, s2, s3, s4 = sums.T
    A, B, C = s1 + s2, s3 + s4 - s1, -(s2 + s3 + 2 * s1)
    half = B / (2 * A)
    return time, -half + np.sqrt(half**2 - C / A)


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
        "their exponents in t over the last decade differ by less than `exponent`",
        _losses,
    ),
)
