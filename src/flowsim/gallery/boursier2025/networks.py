"""Two-layer ReLU networks, and what is measured of them."""

import jax
import jax.numpy as jnp

from flowsim.claims import NotReachedError


def network(p, x):
    """f(x): (..., samples)."""
    return jnp.einsum("...m,...mn->...n", p["a"], jax.nn.relu(jnp.einsum("...md,nd->...mn", p["W"], x)))


def each_network(p):
    """Each network by itself, `line` last."""
    many = len(p["classes"]["a"])
    return [*(jax.tree.map(lambda x, k=k: x[k], p["classes"]) for k in range(many)), p["line"]]


def each_output(outputs):
    return [*outputs[0], outputs[1]]


def least_cosine(k, neurons, p):
    """Of the neurons of network k that live on, with their extremal vectors."""
    limits = jnp.asarray([one.limit for one in neurons])
    W = p["classes"]["W"][k]
    cosines = jnp.sum(W * limits, axis=1) / jnp.linalg.norm(W, axis=1)
    return jnp.min(jnp.where(jnp.any(limits != 0, axis=1), cosines, 1.0))


def heading(W, numpy):
    """w/‖w‖ and ln ‖w‖: (neurons, inputs + 1)."""
    size = numpy.linalg.norm(W, axis=1, keepdims=True)
    return numpy.concatenate([W / size, numpy.log(size)], axis=1)


def stable_rank(W):
    return jnp.sum(W**2) / jnp.linalg.norm(W, 2) ** 2


def slowest(neurons):
    """The least ‖D‖ of neurons that live on."""
    rates = [one.rate for one in neurons if one.rate]
    if not rates:
        raise NotReachedError("all neurons of a network die: take another seed")
    return min(rates)


def class_rate(neurons, sign):
    rates = [one.rate for one in neurons if one.rate and one.pieces[-1][2] * sign > 0]
    if not rates:
        raise NotReachedError("no neuron of a class lives: take another seed")
    return max(rates)
