"""Exact identities: they hold for every flow, so that a defect is an error of the numerics."""

import numpy as np

from ..claim import Claim
from ..condition import below
from ..finding import Curve, Finding
from .constants import Constants
from .evidence import Evidence


def _readout(evidence: Evidence, constants: Constants) -> Finding:
    time, defect, _ = evidence.series("readout_rate_defect")
    bound = constants.identity * evidence.tolerance
    measured = {"largest relative defect": float(np.max(defect))}
    return Finding(measured, (below(defect, bound),), curve=Curve(time, {"relative defect": defect}, {"bound": bound}))


def _conserved(evidence: Evidence, constants: Constants) -> Finding:
    bound = constants.identity * evidence.tolerance
    names = [
        str(name)
        for name in evidence.dataset
        if str(name).startswith("invariant_") and not str(name).endswith("_error")
    ]
    lines, measured, conditions = (
        {},
        {"energy identity": evidence.energy_identity},
        [below(evidence.energy_identity, bound)],
    )
    for name in names:
        time, drift, _ = evidence.series(name)
        label = name.removeprefix("invariant_")
        lines[label], measured[label] = drift, float(np.max(drift))
        conditions.append(below(drift, bound))
    curve = Curve(time, lines, {"bound": bound}) if names else None
    return Finding(measured, tuple(conditions), curve=curve)


CLAIMS = (
    Claim(
        "Lemma F.4",
        "Lemma F.4",
        "d‖u‖²/dt = (2 m1/n) Σ g_i y_i F_i.",
        "relative defect below `identity` × tolerance at every saved time",
        _readout,
    ),
    Claim(
        "Homogeneity",
        "exact invariants",
        "WᵀW - W_V W_Vᵀ and W_K W_Kᵀ - W_Q W_Qᵀ are constant, so ‖W‖² and ‖W_V‖² grow "
        "together, and the loss falls by ∫‖∇loss‖² dt.",
        "relative drift below `identity` × tolerance",
        _conserved,
    ),
)
