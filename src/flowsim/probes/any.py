"""Probes that apply to any problem."""

import jax.numpy as jnp

from .probe import Probe


def _loss(moment):
    return moment.problem.risk(moment.parameters)


def _gradient_norm(moment):
    _, rate = moment.problem.velocity(moment.parameters)
    return jnp.sqrt(jnp.maximum(rate, 0.0))


loss = Probe("loss", (), "training loss", "1", _loss)
gradient_norm = Probe("gradient_norm", (), "norm of the gradient of the training loss, ‖∇loss‖", "1", _gradient_norm)

EVERY_PROBLEM = (loss, gradient_norm)
