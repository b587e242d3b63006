"""Problems that several test files share."""

import pathlib

import jax
import numpy as np

import flowsim

REFERENCE = pathlib.Path(__file__).parent / "reference"
WEIGHTS = ("W", "W_V", "W_K", "W_Q", "a")


def reference(name: str = "small"):
    """(problem, arrays) of a reference trajectory made by independent NumPy and SciPy code."""
    arrays = dict(np.load(REFERENCE / f"{name}.npz"))
    neurons, width = arrays["W"].shape
    vocabulary = arrays["W_K"].shape[1]
    model = flowsim.models.CooccurrenceTransformer(
        vocabulary=vocabulary, width=width, neurons=neurons, key=jax.random.key(0)
    )
    model = flowsim.init.from_arrays(**{k: arrays[k] for k in WEIGHTS})(model)
    task = flowsim.tasks.from_arrays(arrays["tokens"], arrays["labels"], vocabulary=vocabulary, groups=arrays["groups"])
    return flowsim.Problem(model, task), arrays


def distance(model, arrays) -> float:
    """Distance of the final weights from the reference's, over the distance travelled."""
    names = WEIGHTS[:4]
    apart = sum(np.sum((np.asarray(getattr(model, k)) - arrays[f"final_{k}"]) ** 2) for k in names)
    travelled = sum(np.sum((arrays[f"final_{k}"] - arrays[k]) ** 2) for k in names)
    return float(np.sqrt(apart / travelled))
