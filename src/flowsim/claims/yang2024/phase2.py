"""Theorem 3.2, Definition F.1 and Theorem F.8: phase 2, in which attention moves and the loss falls like 1/t."""

import numpy as np

from ..claim import Claim
from ..condition import below, positive
from ..finding import Curve, Finding
from .constants import Constants
from .evidence import Evidence
from .premise import after_phase1, in_phase2


def _monotone(evidence: Evidence, name: str, rising, falling) -> Finding:
    """Signs of the time derivative of chosen entries at every saved time in (T1, T2)."""
    _, rates, errors = evidence.series(f"{name}_rate", evidence.T1 or 0.0, evidence.T2)
    measured, conditions = {}, []
    for sign, entries in ((1, rising), (-1, falling)):
        for a, b in entries:
            signed = sign * rates[:, a, b]
            measured[f"fraction of times at which [{a},{b}] {'rises' if sign > 0 else 'falls'}"] = float(
                np.mean(signed > 0)
            )
            conditions.append(positive(signed, errors[:, a, b]))
    time, values, _ = evidence.series(name)
    change = values - values[0]
    curve = Curve(time, {f"[{a},{b}]": change[:, a, b] for a, b in (*rising, *falling)}, {"0": 0.0})
    return Finding(measured, tuple(conditions), curve=curve)


@in_phase2
def _scores(evidence: Evidence, constants: Constants) -> Finding:
    return _monotone(evidence, "attention_score", ((1, 0), (0, 1)), ((2, 0), (2, 1)))


@in_phase2
def _values(evidence: Evidence, constants: Constants) -> Finding:
    return _monotone(evidence, "value_gram", ((0, 1),), ((0, 2), (1, 2)))


@in_phase2
def _sum(evidence: Evidence, constants: Constants) -> Finding:
    return _sums(evidence, {"G(0)+G(1)+G(2)": np.array([[1.0, 1.0, 1.0]])}, 1.0)


@in_phase2
def _pairs(evidence: Evidence, constants: Constants) -> Finding:
    pairs = {"G(0)+G(2)": np.array([[1.0, 0.0, 1.0]]), "G(1)+G(2)": np.array([[0.0, 1.0, 1.0]])}
    return _sums(evidence, pairs, -1.0)


def _sums(evidence: Evidence, weights, sign: float) -> Finding:
    _, G, errors = evidence.series("mlp_alignment", evidence.T1 or 0.0, evidence.T2)
    time, whole, _ = evidence.series("mlp_alignment")
    measured, conditions, lines = {}, [], {}
    for label, w in weights.items():
        signed = sign * (G @ w[0])
        measured[f"{label}, nearest to 0"] = float(sign * np.min(signed))
        conditions.append(positive(signed, errors @ w[0]))
        lines[label] = whole @ w[0]
    return Finding(measured, tuple(conditions), curve=Curve(time, lines, {"0": 0.0}))


@after_phase1
def _order(evidence: Evidence, constants: Constants) -> Finding:
    time, sums, errors = evidence.series("gradient_sum", evidence.T1 or 0.0)
    both, first, second, neither = sums.T
    gaps = np.stack(
        [first - neither, second - neither, both - first, both - second, first + second + neither - both], 1
    )
    error = np.sum(errors, axis=1)[:, None]
    measured = {"fraction of times in order": float(np.mean(np.all(gaps > 0, axis=1))), "T2": evidence.T2}
    lines = {name: sums[:, k] for k, name in enumerate(("both", "first", "second", "neither"))}
    return Finding(measured, (positive(gaps, np.broadcast_to(error, gaps.shape)),), curve=Curve(time, lines))


@in_phase2
def _rate(evidence: Evidence, constants: Constants) -> Finding:
    """The local slope of 1/loss is ‖∇loss‖²/loss², because dloss/dt = -‖∇loss‖²."""
    time, loss, e_loss = evidence.series("loss", evidence.T1 or 0.0, evidence.T2)
    _, gradient, e_gradient = evidence.series("gradient_norm", evidence.T1 or 0.0, evidence.T2)
    slope = (gradient / loss) ** 2
    error = 2 * slope * (e_loss / loss + e_gradient / gradient)
    ratio = np.max(slope) / np.min(slope)
    uncertain = ratio * (error[np.argmax(slope)] / np.max(slope) + error[np.argmin(slope)] / np.min(slope))
    measured = {
        "slope / σ1² m m1, least": float(np.min(slope) / evidence.readout_scale),
        "slope / σ1² m m1, largest": float(np.max(slope) / evidence.readout_scale),
        "slope / σ1² m m1, at T2": float(slope[-1] / evidence.readout_scale),
        "largest / least": float(ratio),
        "exponent of the loss at T2": float(-time[-1] * gradient[-1] ** 2 / loss[-1]),
    }
    curve = Curve(time, {"d(1/loss)/dt / σ1² m m1": slope / evidence.readout_scale})
    return Finding(measured, (below(ratio, constants.bounded, uncertain),), curve=curve)


_PHASE2 = "at every saved time in (T1, T2)"
CLAIMS = (
    Claim(
        "Theorem 3.2.1",
        "Theorem 3.2 (1)",
        "Attention between the target words rises, and that which the common word draws from them falls.",
        f"d(W_KᵀW_Q)/dt > 0 at [1,0], [0,1] and < 0 at [2,0], [2,1], {_PHASE2}",
        _scores,
    ),
    Claim(
        "Theorem 3.2.2",
        "Theorem 3.2 (2)",
        "Value correlations of the target words rise, those with the common word fall.",
        f"d(W_VᵀW_V)/dt > 0 at [0,1] and < 0 at [0,2], [1,2], {_PHASE2}",
        _values,
    ),
    Claim(
        "Theorem 3.2.3",
        "Theorem 3.2 (3)",
        "All three shared words together vote for the positive label.",
        f"G(0)+G(1)+G(2) > 0, {_PHASE2}",
        _sum,
    ),
    Claim(
        "Theorem 3.2.4",
        "Theorem 3.2 (4)",
        "One target word and the common word vote for the negative label.",
        f"G(0)+G(2) < 0 and G(1)+G(2) < 0, {_PHASE2}",
        _pairs,
    ),
    Claim(
        "Definition F.1",
        "Definition F.1",
        "The groups' gradients keep their order from T1 on.",
        "Σ_I4 ≤ min(Σ_I2, Σ_I3) ≤ max ≤ Σ_I1 ≤ Σ_I2∪I3∪I4 of g at every saved time after T1",
        _order,
    ),
    Claim(
        "Theorem F.8",
        "Theorem F.8",
        "1/loss grows like a straight line of slope σ1² m m1.",
        "the local slope of 1/loss varies by less than a factor `bounded` on (T1, T2); the constant is reported",
        _rate,
    ),
)
