"""Events: when every sample is known, and when the neurons know the first word. Run me: python events.py"""

import jax

import flowsim

jax.config.update("jax_enable_x64", True)

# %%
task = flowsim.tasks.cooccurrence(samples=24, length=4, vocabulary=12, key=jax.random.key(0))
model = flowsim.models.CooccurrenceTransformer(vocabulary=12, width=16, neurons=16, key=jax.random.key(1))
model = flowsim.init.gaussian(sigma0=0.1, sigma1=0.1)(model, key=jax.random.key(2))
problem = flowsim.Problem(model, task, loss=flowsim.losses.logistic)

# %%
learned = flowsim.events.crossing("word_learned", lambda t, m: m.alignment()[0] - 0.5, direction="up")
stop = flowsim.events.loss_below(0.1, terminal=True)
events = [flowsim.events.phase1_end(), learned, stop]
result = flowsim.simulate(problem, t1=300.0, rtol=1e-6, atol=1e-8, events=events, certificate=True)

# %%
for name, event in result.events.items():
    print(f"{name}: t = {event.time} ± {event.uncertainty}")
print(result.status.message, "with loss", result.final["loss"])
