"""Probes of problems that have labelled samples: margins, and what each group contributes."""

import jax
import jax.numpy as jnp

from .probe import Probe

STATISTICS = ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")


def group_mean(values, groups, count):
    """Mean over the samples of each group; an empty group counts 0."""
    total = jax.ops.segment_sum(values, groups, count)
    return total / jnp.maximum(jax.ops.segment_sum(jnp.ones_like(values), groups, count), 1)


def _loss_by_group(moment):
    task = moment.problem.samples
    return group_mean(moment.problem.losses(moment.parameters), task.groups, len(task.group_names))


def _min_margin(moment):
    return jnp.min(moment.problem.margins(moment.parameters))


def sample_weights(problem, parameters):
    """g_i = ‖∂ℓ/∂F‖ of every sample: 1/(1 + exp(y_i F_i)) for the logistic loss."""
    slope = jax.vmap(jax.grad(problem.loss))(problem.predictions(parameters), problem.samples.labels)
    return jnp.abs(slope) if slope.ndim == 1 else jnp.linalg.norm(slope.reshape(len(slope), -1), axis=1)


def _gradient_sum(moment):
    return moment.gradient_sums()


def _margins(moment):
    margins = moment.problem.margins(moment.parameters)
    return jnp.quantile(margins, jnp.linspace(0.0, 1.0, len(STATISTICS), dtype=margins.dtype))


def margins() -> Probe:
    """How the margins of the training samples lie, `margin(time, statistic)`: minimum, quartiles, maximum.

    With labels ±1 a margin is y_i F(x_i); with words, the right word's logit less the largest other one.

    **Raises:** `ValueError` at the start of a run for a task of numbers, which knows no right and wrong.
    """
    return Probe("margin", ("statistic",), "quartiles over the training samples of the margins", "1", _margins)


min_margin = Probe("min_margin", (), "smallest margin, min_i y_i F(x_i)", "1", _min_margin)
loss_by_group = Probe("loss_by_group", ("group",), "mean loss of the samples of each group", "1", _loss_by_group)
gradient_sum = Probe("gradient_sum", ("group",), "Σ g_i over each group, g_i = |∂ℓ/∂F|", "1", _gradient_sum)

CLASSIFIED = (min_margin,)
GROUPS = (loss_by_group, gradient_sum)
