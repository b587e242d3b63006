"""Runs on several virtual devices beside runs on one, for `test_distributed`; prints what both gave as JSON.

The devices are those of one process, or of the several that the environment names."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import flowsim
from flowsim import _tree


class Network(eqx.Module):
    """x -> a · tanh(W x) + c: a matrix, a vector and a scalar."""

    W: jax.Array
    a: jax.Array
    c: jax.Array

    def __call__(self, x):
        return self.a @ jnp.tanh(self.W @ x) + self.c


def problem():
    """16 samples; 6 neurons of 4 inputs, so that the axes that split into two are those of the neurons."""
    draw = np.random.default_rng(0)
    inputs, labels = draw.normal(size=(16, 4)), draw.normal(size=16)
    model = Network(jnp.asarray(draw.normal(size=(6, 4))), jnp.asarray(draw.normal(size=6)), jnp.asarray(0.1))
    return flowsim.Problem(model, flowsim.tasks.from_arrays(inputs, labels, target="value"), loss="squared")


def described(result):
    """What must agree between one device and several."""
    leaves = jax.tree.leaves(result.parameters)
    return {
        "steps": result.solver.steps,
        "rejected": result.solver.rejected,
        "evaluations": result.solver.vector_field_evaluations,
        "parameters": np.concatenate([np.ravel(_tree.to_host(x)) for x in leaves]).tolist(),
        "held": [x.addressable_shards[0].data.shape for x in leaves],
        "events": {name: list(record.times) for name, record in result.crossings.items()},
        "certificate": result.certificate.relative_error,
    }


def run(whole):
    options = {"solver": "lean5", "rtol": 1e-5, "atol": 1e-7, "save_times": [0.0, 1.0, 20.0], "certificate": True}
    event = flowsim.events.loss_below(0.5)
    return described(flowsim.simulate(whole, t1=20.0, events=[event], reduction="none", **options))


def spread(whole, *, samples, parameters):
    """Shapes of what one device holds of the samples and of each trained array."""
    placed = flowsim.distributed.shard(whole, samples=samples, parameters=parameters)
    own = [x.addressable_shards[0].data.shape for x in jax.tree.leaves(placed.parameters)]
    return placed, {"tokens": placed.task.tokens.addressable_shards[0].data.shape, "parameters": own}


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    flowsim.distributed.initialize()
    whole = problem()
    found = {"one": run(whole), "shapes": [x.shape for x in jax.tree.leaves(whole.parameters)]}
    placed, found["spread"] = spread(whole, samples=4, parameters=2)
    found["eight"] = run(placed)
    if flowsim.distributed.first():
        print(json.dumps(found))
