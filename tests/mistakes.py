"""A user's mistakes: each an expression that must be refused in one sentence. `python -m tests.mistakes` prints JSON.

They run in a process of their own, as users run flowsim: without the shape checks that the tests switch on.
"""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax

import flowsim
from flowsim import descent, events, flows, init, models, probes, tasks

from .own_flows import Counting, Own, Seasonal

jax.config.update("jax_enable_x64", True)
KEY = jax.random.key(0)
SGD = optax.sgd(0.1)
PROBLEM = flowsim.Problem.from_loss(lambda p: jnp.sum(p["x"] ** 2) / 2, {"x": jnp.ones(2)})


def words(vocabulary=9, **more):
    return tasks.cooccurrence(**{"samples": 12, "length": 4, "vocabulary": vocabulary, "key": KEY, **more})


def model(vocabulary=9, **more):
    return models.CooccurrenceTransformer(**{"vocabulary": vocabulary, "width": 4, "neurons": 4, "key": KEY, **more})


def numbers(**more):
    return tasks.regression(**{"samples": 5, "features": 3, "outputs": 2, "key": KEY, **more})


def run(**more):
    return flowsim.simulate(**{"problem": PROBLEM, "t1": 0.1, **more})


def watch(function, **more):
    return run(events=[events.crossing("mine", function, **more)])


def measure(function):
    return run(probes={"mine": function})


def descend(transformation=None, **more):
    return descent.descend(PROBLEM, transformation or SGD, **{"learning_rate": 0.1, "steps": 2, **more})


def drift(**more):
    return descent.against_flow(**{"problem": PROBLEM, "transformation": SGD, "learning_rate": 0.1, "steps": 2, **more})


def differentiate(**more):
    def family(eps):
        return flowsim.Problem.from_loss(lambda p: (1 + eps) * jnp.sum(p**2), jnp.ones(2))

    return flowsim.sensitivity(**{"family": family, "at": 0.0, "t1": 0.1, **more})


def influence(**more):
    problem = flowsim.Problem(models.DeepLinear(sizes=(3, 2), key=KEY), numbers())
    return flowsim.influence(**{"problem": problem, "t1": 0.1, **more})


def noisy(**more):
    given = {"problem": PROBLEM, "t1": 1.0, "inverse_temperature": 1.0, "step": 0.1, "key": KEY}
    return flowsim.langevin(**given | more)


# name -> (what is done, a part of the sentence that must come)
MISTAKES = {
    "vocabulary of model below the task's": (
        lambda: flowsim.Problem(model(5), words(9)), "vocabulary of 5 words is smaller than the task's of 9"),
    "task that is none": (lambda: flowsim.Problem(model(), "words"), "task must be a flowsim.tasks.Task"),
    "model that is none": (lambda: flowsim.Problem({"W": jnp.ones(3)}, words()), "Problem.from_loss"),
    "model class": (lambda: flowsim.Problem(models.CooccurrenceTransformer, words()), "got the class"),
    "two arrays of one name": (
        lambda: flowsim.Problem.from_loss(lambda p: p["a.b"] + p["a"]["b"], {"a.b": 1.0, "a": {"b": 2.0}}),
        "two arrays are named 'a.b'"),
    "loss misspelt": (lambda: flowsim.Problem(model(), words(), loss="logistc"), "did you mean 'logistic'"),
    "loss that is a number": (lambda: flowsim.Problem(model(), words(), loss=2.0), "loss must be one of"),
    "loss of one argument": (lambda: flowsim.Problem(model(), words(), loss=lambda f: f), "the loss, on a prediction"),
    "loss that returns words": (lambda: flowsim.Problem(model(), words(), loss=lambda f, y: "a"), "loss"),
    "cross-entropy of a scalar model": (
        lambda: flowsim.Problem(model(), words(), loss="cross_entropy"), "the loss, on a prediction"),
    "word labels, one prediction": (
        lambda: flowsim.Problem(model(), tasks.from_arrays(np.zeros((2, 4), int), [3, 5], vocabulary=9)),
        "logits of shape"),
    "numbers of another shape": (
        lambda: flowsim.Problem(models.DeepLinear(sizes=(3, 4, 1), key=KEY), numbers(), loss="squared"),
        "has shape (1,) and a label (2,)"),
    "inputs of another size": (
        lambda: flowsim.Problem(models.DeepLinear(sizes=(7, 4, 2), key=KEY), numbers(), loss="squared"),
        "the model, on one sample of the task"),
    "two numbers where labels are ±1": (
        lambda: flowsim.Problem(models.DeepLinear(sizes=(3, 2), key=KEY), tasks.from_arrays(np.ones((2, 3)), [1, -1])),
        "must be one number"),
    "nothing to train": (lambda: flowsim.Problem.from_loss(lambda p: p * 1.0, 3), "write 1.0 for 1"),
    "integer parameters": (
        lambda: flowsim.Problem.from_loss(lambda p: jnp.sum(p) * 1.0, jnp.arange(3)), "floating-point array"),
    "complex parameters": (
        lambda: flowsim.Problem.from_loss(lambda p: jnp.sum(jnp.abs(p)), jnp.ones(2) * 1j), "split complex numbers"),
    "loss that is no function": (lambda: flowsim.Problem.from_loss(3.0, jnp.ones(2)), "must be a function"),
    "loss of a vector": (lambda: flowsim.Problem.from_loss(lambda p: p, jnp.ones(2)), "must return a real scalar"),
    "loss that returns None": (lambda: flowsim.Problem.from_loss(lambda p: None, jnp.ones(2)), "a real scalar"),
    "loss with a misspelt leaf": (
        lambda: flowsim.Problem.from_loss(lambda p: p["y"], {"x": jnp.ones(2)}), "the loss could not be evaluated"),
    "conserved that is a list": (
        lambda: flowsim.Problem.from_loss(jnp.sum, jnp.ones(2), conserved=["energy"]), "must be a dictionary"),
    "risk that is not a number": (
        lambda: run(problem=flowsim.Problem.from_loss(lambda p: jnp.log(p).sum(), -jnp.ones(3))), "not finite"),
    "risk that is infinite": (
        lambda: run(problem=flowsim.Problem.from_loss(lambda p: jnp.sum(1 / p), jnp.zeros(3))), "not finite"),
    "numbers as signs": (
        lambda: tasks.Task(jnp.ones((2, 3)), jnp.array([0.3, 2.0]), None, None, 0), "target='value'"),
    "labels 0 and 1": (lambda: tasks.from_arrays(np.zeros((2, 3), int), [0, 1], vocabulary=3), "2 * labels - 1"),
    "label for each but one": (lambda: tasks.from_arrays(np.ones((3, 2)), [1, -1]), "one row a sample"),
    "tokens beyond the vocabulary": (
        lambda: tasks.from_arrays(np.array([[0, 3]]), [1], vocabulary=3), "tokens must lie in [0, 3)"),
    "tokens that are numbers": (lambda: tasks.from_arrays(np.array([[0.5, 1]]), [1], vocabulary=3), "must be integers"),
    "inputs that are not numbers": (lambda: tasks.from_arrays(np.array([[np.nan, 1]]), [1]), "NaN"),
    "groups without a name": (
        lambda: tasks.from_arrays(np.ones((2, 2)), [1, -1], groups=np.array([0, 7])), "`group_names`"),
    "target that is none": (lambda: tasks.from_arrays(np.ones((2, 2)), [1, -1], target="sing"), "did you mean 'sign'"),
    "int for a key, task": (lambda: words(key=0), "write jax.random.key(0)"),
    "int for a key, regression": (lambda: numbers(key=7), "write jax.random.key(7)"),
    "int for a key, model": (lambda: model(key=3), "write jax.random.key(3)"),
    "int for a key, initializer": (lambda: init.kaiming_normal()(model(), key=1), "write jax.random.key(1)"),
    "width of 0": (lambda: model(width=0), "width must be a whole number >= 1"),
    "width of 1.5": (lambda: model(width=1.5), "width must be a whole number >= 1"),
    "negative scale": (lambda: init.gaussian(sigma0=-1.0, sigma1=1.0), "sigma0 must be >= 0"),
    "start of another model": (
        lambda: init.gaussian(sigma0=1.0, sigma1=1.0)(models.DeepLinear(sizes=(3, 2), key=KEY), key=KEY),
        "use kaiming_uniform"),
    "activation misspelt": (
        lambda: models.MLP(sizes=(3, 2), activation="gleu", key=KEY), "did you mean 'gelu'"),
    "model for a problem": (lambda: run(problem=model()), "problem must be a flowsim.Problem"),
    "negative end": (lambda: run(t1=-1.0), "t1 must be > 0"),
    "end that is not a number": (lambda: run(t1=float("nan")), "t1 must be > 0 and finite"),
    "end that is a string": (lambda: run(t1="10"), "t1 must be a number"),
    "solver misspelt": (lambda: run(solver="dopri9"), "did you mean 'dopri8'"),
    "solver that is an object": (lambda: run(solver=3), "solver must be one of"),
    "tolerance 0": (lambda: run(rtol=0.0), "rtol must be > 0"),
    "tolerance that is a string": (lambda: run(rtol="1e-8"), "rtol must be a number"),
    "tolerance beyond the precision": (lambda: run(rtol=1e-17), "rtol must be at least"),
    "euler without a step": (lambda: run(solver="euler"), "fixed step size"),
    "compensated implicit": (lambda: run(solver="kvaerno5", compensated=True), "leave out compensated"),
    "compensated by a word": (lambda: run(compensated="yes"), "compensated must be True, False or None"),
    "negative step": (lambda: run(solver="euler", step=-0.1), "step must be > 0"),
    "half a step": (lambda: run(max_steps=0.5), "max_steps must be a whole number"),
    "event misspelt": (lambda: run(events=["phase1_edn"]), "did you mean 'phase1_end'"),
    "event that needs its number": (lambda: run(events=["loss_below"]), "needs its arguments"),
    "event that is a function": (lambda: run(events=[lambda t, p: t]), "flowsim.events.crossing(name, function)"),
    "events that are no list": (lambda: run(events=3), "events must be a list"),
    "event of another task": (lambda: run(events=["phase1_end"]), "event phase1_end cannot be evaluated"),
    "event that is an array": (lambda: watch(lambda t, p: p["x"] - 0.5), "take one entry"),
    "event that is a boolean": (lambda: watch(lambda t, p: p["x"][0] < 0.5), "crosses 0"),
    "event that is None": (lambda: watch(lambda t, p: None), "one real number, got None"),
    "event that is complex": (lambda: watch(lambda t, p: p["x"][0] * 1j), "signed real number"),
    "event with a misspelt leaf": (lambda: watch(lambda t, p: p["y"][0]), "event mine cannot be evaluated"),
    "event of one argument": (lambda: watch(lambda p: p["x"][0]), "event mine cannot be evaluated"),
    "event without a function": (lambda: events.crossing("mine", 0.5), "must be a function (t, parameters)"),
    "event whose name is a function": (lambda: events.crossing(lambda t, p: t, "mine"), "name must be a string"),
    "direction misspelt": (lambda: watch(lambda t, p: t, direction="upwards"), "unknown direction"),
    "two events of one name": (
        lambda: run(events=[events.loss_below(0.1), events.loss_below(0.2)]), "two events are named 'loss_below'"),
    "probes that are functions": (lambda: run(probes=[lambda p: p]), "needs a name"),
    "probe that is no function": (lambda: measure(3.0), "probe mine must be a function"),
    "probe that is a dictionary": (lambda: measure(lambda p: p), "write a probe for each quantity"),
    "probe that is None": (lambda: measure(lambda p: None), "one array, got None"),
    "probe with a misspelt leaf": (lambda: measure(lambda p: p["y"]), "probe mine cannot be evaluated"),
    "probe of a standard name": (lambda: run(probes={"loss": lambda p: p["x"]}), "two probes are named 'loss'"),
    "probe named as the axis": (lambda: run(probes={"time": lambda p: p["x"]}), "cannot be named 'time'"),
    "probe without a name": (lambda: run(probes={"": lambda p: p["x"]}), "cannot be named ''"),
    "probe named by a number": (lambda: run(probes={3: lambda p: p["x"]}), "a probe's name must be a string"),
    "start that is no number": (lambda: run(t0=float("nan")), "t0 must be finite"),
    "start in words": (lambda: run(t0="early"), "t0 must be a number"),
    "seconds in words": (lambda: run(max_seconds="ten"), "max_seconds must be a number"),
    "norm of what is not there": (lambda: run(probes=[probes.norm("W_K")]), "probe"),
    "save times beyond the end": (lambda: run(save_times=[0.0, 5.0]), "save times must lie in [0, t1"),
    "save times that are a text": (lambda: run(save_times="abc"), "save_times must be numbers, got 'abc'"),
    "a save time that is a text": (lambda: run(save_times=[0.01, "x"]), "save_times must be numbers"),
    "a clock that is a text": (lambda: run(t0="a"), "t0 must be a number, got 'a'"),
    "a clock that is no time": (lambda: run(t0=float("nan")), "t0 must be finite, got nan"),
    "an end that rounds to nothing": (lambda: run(t1=5e-324), "give the times to save"),
    "save times out of order": (lambda: run(save_times=[0.05, 0.01]), "strictly increasing"),
    "flow by a wrong name": (lambda: run(flow="adam"), "flow must be one of flowsim.flows"),
    "reduction misspelt": (lambda: run(reduction="rotaton"), "reduction"),
    "reduction of another model": (lambda: run(reduction="gram"), "Use auto or none"),
    "certificate by a wrong name": (lambda: run(certificate="yes"), "unknown certificate"),
    "progress that is no function": (lambda: run(progress=3), "progress must be a function, True or False"),
    "scale of what is not there": (
        lambda: run(flow=flows.time_scales(rates={"W": 2.0})), "no trained parameter is named"),
    "descent by no optimizer": (lambda: descend(3), "the optimizer must be one of Optax's, got 3"),
    "descent of half a step": (lambda: descend(steps=2.5), "steps must be a whole number >= 1"),
    "drift of no problem": (lambda: drift(problem=None), "problem must be a flowsim.Problem"),
    "drift by a name": (lambda: drift(transformation="sgd"), "the optimizer must be one of Optax's, got 'sgd'"),
    "drift with a label that is a number": (lambda: drift(optimizer=3), "optimizer must be a name for labels"),
    "drift of half a step": (lambda: drift(steps=2.5), "steps must be a whole number >= 1"),
    "drift at a text of a rate": (lambda: drift(learning_rate="a"), "learning_rate must be a number"),
    "drift back in time": (lambda: drift(step_time=-1.0), "step_time must be > 0"),
    "drift with a misspelt event": (lambda: drift(events=["phase1_edn"]), "did you mean 'phase1_end'"),
    "drift with an edge that is a text": (lambda: drift(edge_limit="a"), "edge_limit must be a number"),
    "family that is no function": (lambda: differentiate(family=3), "the family must be a function"),
    "derivative at a text": (lambda: differentiate(at="a"), "at must be numbers, got 'a'"),
    "derivative at nothing": (lambda: differentiate(at=None), "at must be a finite number"),
    "derivative at a complex number": (lambda: differentiate(at=1j), "at must be numbers, got 1j"),
    "derivative at a matrix": (lambda: differentiate(at=[[0.0]]), "at must be a finite number or a vector"),
    "derivative of a misspelt event": (lambda: differentiate(events=["phase1_edn"]), "did you mean 'phase1_end'"),
    "derivative of a misspelt probe": (lambda: differentiate(probes=["sharpnes"]), "did you mean 'sharpness'"),
    "derivative of probes that are none": (lambda: differentiate(probes=3), "probes must be a dictionary"),
    "influence on no problem": (lambda: influence(problem=None), "problem must be a flowsim.Problem"),
    "influence on a vector": (lambda: influence(of=lambda m: m.layers[0]), "of must return one real number"),
    "influence on a count": (lambda: influence(of=lambda m: 3), "of must return one real number"),
    "influence on a misspelt event": (lambda: influence(of="phase1_edn"), "of must be 'loss', an event"),
    "longer by a text": (lambda: run().extend(t1="a"), "t1 must be a number"),
    "longer by no steps": (lambda: run().extend(t1=1.0, max_steps=0), "max_steps must be a whole number >= 1"),
    "target that is a text": (lambda: run(target_error="a"), "target_error must be a number"),
    "certificate that is a number": (lambda: run(certificate=3), "certificate must be True, False"),
    "friction that is a text": (lambda: flows.momentum(friction="a"), "friction must be a number"),
    "rate that is a text": (lambda: flows.heavy_ball(learning_rate="a", momentum=0.5), "learning_rate must be"),
    "decay without a strength": (lambda: flows.weight_decay(strength=None), "strength must be a number"),
    "decay of a flow by a wrong name": (
        lambda: flows.weight_decay("adam", strength=0.1), "base must be one of flowsim.flows"),
    "stages of a flow by a wrong name": (
        lambda: flows.staged([{"train": None}], base="adam"), "base must be one of flowsim.flows"),
    "speeds that are a list": (lambda: flows.time_scales(rates=["x"]), "rates must be a dictionary name -> factor"),
    "speed that is none": (lambda: flows.time_scales(rates={"x": None}), "the rate of x must be a number"),
    "step that is a text": (lambda: flows.modified_gradient("a"), "step must be a number"),
    "average that is a text": (lambda: flows.adam(first="a", second=0.1), "first must be a number"),
    "stages that are a name": (lambda: flows.staged("x"), "stages must be a list of dictionaries"),
    "probe that is a folder": (lambda: run(probes={"a/b": lambda p: p["x"]}), "cannot be named 'a/b'"),
    "probe named as a bound": (lambda: run(probes={"loss_error": lambda p: p["x"]}), "the bound on the error"),
    "flow without its rate": (lambda: run(flow=Own(lambda v, r: v)), "two things"),
    "flow of another structure": (lambda: run(flow=Own(lambda v, r: (v["x"], r))), "the structure and the shapes"),
    "flow with a rate for each entry": (lambda: run(flow=Own(lambda v, r: (v, v["x"]))), "one number each"),
    "flow that raises": (lambda: run(flow=Own(lambda v, r: v["y"])), "Own cannot be evaluated at the start: KeyError"),
    "flow with a count in its state": (lambda: run(flow=Counting(lambda v, r: (v, r))), "the state of Counting must"),
    "flow's clock set back": (lambda: run(flow=Seasonal(), start=run(flow=Seasonal())), "give t0=0.1"),
    "noise on no problem": (lambda: noisy(problem=3), "problem must be a flowsim.Problem"),
    "int for a key, noise": (lambda: noisy(key=3), "write jax.random.key(3)"),
    "noise to a text": (lambda: noisy(t1="a"), "t1 must be a number, got 'a'"),
    "noise with a misspelt probe": (lambda: noisy(probes=["sharpnes"]), "did you mean 'sharpness'"),
    "noise saved at a text": (lambda: noisy(save_times=["a"]), "save_times must be numbers"),
    "inside grad": (lambda: jax.grad(lambda s: _loss_of(s))(1.0), "flowsim.sensitivity"),
    "inside jit": (lambda: jax.jit(_loss_of)(1.0), "flowsim.sensitivity"),
    "inside vmap": (lambda: jax.vmap(_loss_of)(jnp.ones(2)), "flowsim.ensemble"),
    "traced loss": (lambda: jax.grad(_of_a_loss)(1.0), "flowsim.sensitivity"),
    "traced event": (lambda: jax.grad(_of_an_event)(0.5), "event half is a traced value"),
    "traced end": (lambda: jax.grad(lambda t: run(t1=t).final["loss"])(1.0), "flowsim.sensitivity"),
}  # fmt: skip


def _loss_of(scale):
    return run(problem=flowsim.Problem.from_loss(lambda p: jnp.sum(p**2), scale * jnp.ones(3))).final["loss"]


def _of_a_loss(scale):
    inner = functools.partial(lambda s, x: s * x, scale)
    return run(problem=flowsim.Problem.from_loss(lambda p: jnp.sum(inner(p) ** 2), jnp.ones(3))).final["loss"]


def _of_an_event(level):
    return run(events=[events.crossing("half", lambda t, p: p["x"][0] - level)]).final["loss"]


def outcome(mistake):
    """What came of it: the error's type and text."""
    try:
        mistake()
    except Exception as error:
        return {"type": type(error).__name__, "text": str(error)}
    return {"type": None, "text": "nothing was refused"}


if __name__ == "__main__":
    print(json.dumps({name: outcome(mistake) | {"wanted": text} for name, (mistake, text) in MISTAKES.items()}))
