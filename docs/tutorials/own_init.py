"""Your own initialization: keys that prefer the first target word from the start. Run me: python own_init.py"""

import equinox as eqx
import jax

import flowsim

jax.config.update("jax_enable_x64", True)


# %%
def prefer_first_target(model, *, key):
    """Any function `(model, *, key) -> model` is an initializer."""
    model = flowsim.init.gaussian(sigma0=0.1, sigma1=0.1)(model, key=key)
    return eqx.tree_at(lambda m: m.W_K, model, model.W_K.at[:, 0].multiply(3.0))


# %%
task = flowsim.tasks.cooccurrence(samples=24, length=4, vocabulary=12, key=jax.random.key(0))
model = flowsim.models.CooccurrenceTransformer(vocabulary=12, width=16, neurons=16, key=jax.random.key(1))
problem = flowsim.Problem(prefer_first_target(model, key=jax.random.key(2)), task)
moves = flowsim.events.attention_moves(0.001)
result = flowsim.simulate(problem, t1=50.0, rtol=1e-6, atol=1e-8, events=[flowsim.events.phase1_end(), moves])

# %%
for name, event in result.events.items():
    print(f"{name}: t = {event.time}")
print(result.dataset["attention_score"].isel(time=[0, -1]).values)
