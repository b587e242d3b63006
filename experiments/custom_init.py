"""Your own initialisation, and what the flow makes of it: the Python twin of an experiment file.

    python experiments/custom_init.py

Here the key and query matrices start with a preference for the first target word.
"""

import equinox as eqx
import jax

import flowsim

jax.config.update("jax_enable_x64", True)


def prefer_first_target(model, *, key):
    """Any function `(model, *, key) -> model` is an initialiser."""
    model = flowsim.init.gaussian(sigma0=0.05, sigma1=0.06)(model, key=key)
    return eqx.tree_at(lambda m: m.W_K, model, model.W_K.at[:, 0].multiply(3.0))


task = flowsim.tasks.cooccurrence(samples=60, length=5, vocabulary=64, key=jax.random.key(0))
model = flowsim.models.CooccurrenceTransformer(vocabulary=64, width=64, neurons=64, key=jax.random.key(1))
problem = flowsim.Problem(prefer_first_target(model, key=jax.random.key(2)), task)

result = flowsim.simulate(
    problem,
    t1=300.0,
    events=[flowsim.events.phase1_end(), flowsim.events.attention_moves(0.01)],
    probes={"norm of W_K": lambda model: (model.W_K**2).sum() ** 0.5},
    certificate=True,
)

for name, event in result.events.items():
    print(f"{name}: " + ("never" if event.time is None else f"t = {event.time:.10g} ± {event.uncertainty:.1e}"))
print(f"final loss {result.final['loss']:.4e}, relative error at most {result.certificate.relative_error:.1e}")
print(result.dataset[["loss", "norm of W_K"]].isel(time=[0, 100, 200]))
