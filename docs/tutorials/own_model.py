"""Your own model: twenty lines of it, and it has events, a certificate and a figure. Run me: python own_model.py"""

import equinox as eqx
import jax
import jax.numpy as jnp

import flowsim

jax.config.update("jax_enable_x64", True)


# %%
class GatedSum(eqx.Module):
    """F(X) = ⟨v, Σ_l σ(g_{x_l}) e_{x_l}⟩: every word has a vector and a gate. Nothing of it is known to flowsim."""

    vectors: jax.Array
    gates: jax.Array
    readout: jax.Array

    def __init__(self, vocabulary, width, *, key):
        first, second = jax.random.split(key)
        self.vectors = 0.3 * jax.random.normal(first, (vocabulary, width))
        self.gates = jnp.zeros(vocabulary)
        self.readout = 0.3 * jax.random.normal(second, (width,))

    def __call__(self, tokens):
        return self.readout @ (jax.nn.sigmoid(self.gates[tokens]) @ self.vectors[tokens])


# %%
task = flowsim.tasks.cooccurrence(samples=60, length=5, vocabulary=16, key=jax.random.key(0))
problem = flowsim.Problem(GatedSum(16, 8, key=jax.random.key(1)), task)
opens = flowsim.events.crossing("gate_opens", lambda t, m: m.gates[0] - 0.5, direction="up")
result = flowsim.simulate(problem, t1=300.0, events=[flowsim.events.phase1_end(), opens], certificate=True)

# %%
print({name: event.time for name, event in result.events.items()})
print(result.certificate.relative_error, result.certificate.invariants)
flowsim.plot.draw(result, "loss").savefig("own_model.png")
