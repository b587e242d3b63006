"""Do model, task, loss and start fit together? Each answer is one sentence with the remedy."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks, _tree
from ..models import traits
from ..tasks import Task


def as_array(leaf: Any) -> Any:
    """Floats and NumPy's arrays as JAX's; the rest of a pytree as it is."""
    if eqx.is_array(leaf):
        return leaf
    return jnp.asarray(leaf) if isinstance(leaf, float) or eqx.is_inexact_array_like(leaf) else leaf


def embed(model, embedding):
    if not traits(model).words:
        raise ValueError(f"the task has an embedding matrix, but {type(model).__name__} takes none.")
    return eqx.tree_at(lambda m: m.embedding, model, embedding, is_leaf=lambda x: x is None)


def sample_weights(weights: Any, task: Task | None, dtype: Any) -> Float[Array, "samples"]:
    if task is None:
        raise ValueError("weights are of the samples of a task, and a problem made by Problem.from_loss has none.")
    if jnp.shape(weights) != (task.samples,):
        raise ValueError(f"weights must be one number for each of the {task.samples} samples, got shape "
                         f"{jnp.shape(weights)}.")  # fmt: skip
    return jnp.asarray(weights, dtype)


def check_kinds(model: Any, task: Any) -> None:
    if task is None:
        return  # by `from_loss`, whose model is any pytree
    remedy = "make one of your own arrays by flowsim.tasks.from_arrays"
    _checks.instance(task, Task, "task must be a flowsim.tasks.Task", remedy)
    if not callable(model) or isinstance(model, type):
        raise TypeError(
            f"model must be an Equinox module that takes one sample, got {_checks.described(model)}; the flow of any "
            "other loss is Problem.from_loss(loss, parameters)."
        )


def check_names(model: Any) -> None:
    """Every array of a pytree is known by its path: run folders keep it by that name, flows and probes choose by it."""
    leaves = zip(_tree.paths(model), jax.tree.leaves(model), strict=True)
    paths = [path for path, leaf in leaves if _tree.is_array(leaf)]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise ValueError(f"two arrays are named {twice[0]!r}, by a key with a dot and by nested keys: rename one.")


def check_fit(model: Callable, task: Task, loss: Callable) -> None:
    """Can the model read a sample of the task, and the loss compare its prediction with a label? Shapes only."""
    known = getattr(model, "vocabulary", None)
    if isinstance(known, int) and known < task.vocabulary:  # an index beyond an array would be clamped to its end
        raise ValueError(
            f"the model's vocabulary of {known} words is smaller than the task's of {task.vocabulary}: make the model "
            f"with vocabulary={task.vocabulary}."
        )
    sample, label = (jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for x in (task.tokens, task.labels))
    prediction = evaluated(f"the model, on one sample of the task ({_checks.described(sample)}),", model, sample)
    if not hasattr(prediction, "shape"):
        raise TypeError(f"the model must return one array, got {_checks.described(prediction)}.")
    if task.target == "sign" and prediction.shape != ():
        raise ValueError(
            f"the model's prediction must be one number where labels are ±1, got {_checks.described(prediction)}."
        )
    if task.target == "word" and (prediction.ndim == 0 or prediction.shape[:-1] != label.shape):
        raise ValueError(
            f"the model's prediction must be logits of shape {(*label.shape, task.vocabulary)} where labels are words, "
            f"got shape {prediction.shape}; for labels ±1 use target='sign'."
        )
    if task.target == "value" and prediction.shape != label.shape:
        raise ValueError(
            f"the model's prediction has shape {prediction.shape} and a label {label.shape}: they must be the same."
        )
    what = f"the loss, on a prediction ({_checks.described(prediction)}) and a label ({_checks.described(label)}),"
    value = evaluated(what, loss, prediction, label)
    if not (hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.floating)):
        raise TypeError(f"the loss must return a real number, got {_checks.described(value)}.")


def evaluated(what: str, function: Callable, *args: Any) -> Any:
    """The shape of a user's function's result; one sentence where it fails, with the failure as its cause."""
    try:
        return eqx.filter_eval_shape(function, *args)
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or "no message"
        raise ValueError(f"{what} could not be evaluated: {type(error).__name__}: {reason}") from error


def one_dtype(parameters):
    """Cast to the common dtype: a solver's state has one, and a mixed tree would be promoted step by step."""
    leaves = jax.tree.leaves(parameters)
    if not sum(jnp.size(leaf) for leaf in leaves):
        raise ValueError(
            "nothing to train: no floating-point array holds a number. Integers do not move: write 1.0 for 1."
        )
    dtype = _tree.dtype(parameters)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"parameters must be real floating-point arrays, got {dtype}; split complex numbers in two.")
    return jax.tree.map(lambda x: jnp.asarray(x, dtype), parameters)


def check_conserved(given: Any) -> tuple[tuple[str, Callable], ...]:
    """Names and functions of what a user says is conserved. **Raises:** `TypeError`."""
    if given is None:
        return ()
    if not isinstance(given, Mapping) or not all(callable(function) for function in given.values()):
        raise TypeError(f"conserved must be a dictionary name -> function, got {_checks.described(given)}.")
    return tuple((str(name), function) for name, function in given.items())
