"""Theorem 3.3: where training ends."""

import numpy as np

from ..claim import Claim
from ..condition import below, positive
from ..finding import Curve, Finding
from .constants import Constants
from .evidence import Evidence
from .premise import at_the_end

_ENTRIES = {(0, 1): 1, (1, 0): 1, (2, 0): -1, (2, 1): -1}  # [key, query] -> the sign of its change


@at_the_end
def _loss(evidence: Evidence, constants: Constants) -> Finding:
    time, values, errors = evidence.series("loss")
    loss, error = float(values[-1]), float(errors[-1])
    curve = Curve(time, {"loss": values}, {"vanishing": constants.vanishing})
    if evidence.test_loss is None:
        return Finding({"training loss": loss}, reason="there are no fresh samples of a task from a file", curve=curve)
    measured = {"training loss": loss, "test loss": evidence.test_loss, "test / training": evidence.test_loss / loss}
    conditions = (below(loss, constants.vanishing, error), below(evidence.test_loss, constants.vanishing, error))
    return Finding(measured, conditions, curve=curve)


@at_the_end
def _change(evidence: Evidence, constants: Constants) -> Finding:
    C, random = evidence.score_change, evidence.random_words
    _, error = evidence.at("attention_score", evidence.end)
    signal = np.array([sign * C[a, b] for (a, b), sign in _ENTRIES.items()])
    errors = np.array([error[a, b] for a, b in _ENTRIES])
    largest = random_change(evidence)
    ratio = largest / np.min(np.abs(signal))
    measured = {
        **{f"C[{a},{b}]": C[a, b] for a, b in _ENTRIES},
        "largest |C| of a random word": largest,
        "its ratio to the least of the four": ratio,
        "ratio × n": ratio * evidence.samples,
    }
    uncertain = ratio * np.max(errors) / np.min(np.abs(signal)) if len(random) else 0.0
    bound = constants.bounded / evidence.samples
    time, values, _ = evidence.series("attention_score")
    change = values - values[0]
    lines = {f"C[{a},{b}]": change[:, a, b] for a, b in _ENTRIES}
    conditions = (positive(signal, errors), below(ratio, bound, uncertain))
    return Finding({k: float(v) for k, v in measured.items()}, conditions, curve=Curve(time, lines, {"0": 0.0}))


def random_change(evidence: Evidence) -> float:
    """max |C| over the pairs of words of which one, or both, are random."""
    if len(evidence.random_words) == 0:
        return 0.0
    words = np.concatenate([np.arange(3), evidence.random_words])
    C = np.abs(evidence.score_change[np.ix_(words, words)])
    C[:3, :3] = 0.0
    return float(np.max(C))


CLAIMS = (
    Claim(
        "Theorem 3.3.1",
        "Theorem 3.3 (1)",
        "Training ends with a small loss, on new samples as well.",
        "training loss and loss on fresh samples below `vanishing`; their ratio is reported",
        _loss,
    ),
    Claim(
        "Theorem 3.3.2",
        "Theorem 3.3 (2)",
        "The scores change for the shared words, and about n times less for random ones.",
        "C[0,1], C[1,0] > 0, C[2,0], C[2,1] < 0, and |C| of random words below `bounded`/n of these",
        _change,
    ),
)
