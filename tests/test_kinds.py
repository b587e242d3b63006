"""Kinds of task, model and flow beyond the paper's: what they draw, and what an experiment file says of them."""

import itertools
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim import _tree, tasks
from flowsim.config import Context, ExperimentErrors, load_text
from flowsim.config.kinds.model import TransformerModel
from flowsim.experiment import build

EXPERIMENTS = pathlib.Path(__file__).parent.parent / "experiments"


def key(seed=0):
    return jax.random.key(seed)


@pytest.mark.thorough
@pytest.mark.parametrize("order", [0, 1, 2])
def test_next_token_follows_its_transitions(order):
    """Counted transitions are those of the table, whatever the order."""
    vocabulary = 3
    table = np.random.default_rng(order).dirichlet(np.ones(vocabulary), vocabulary**order)
    task = tasks.next_token(
        samples=400, length=40, vocabulary=vocabulary, order=order, transitions=jnp.asarray(table), key=key(1)
    )
    assert task.tokens.shape == task.labels.shape == (400, 40)
    np.testing.assert_array_equal(task.tokens[:, 1:], task.labels[:, :-1])
    words = np.concatenate([task.tokens, np.asarray(task.labels)[:, -1:]], axis=1)
    counts = np.zeros((vocabulary**order, vocabulary))
    for end in range(order, words.shape[1]):
        context = sum(words[:, end - order + k] * vocabulary ** (order - 1 - k) for k in range(order))
        np.add.at(counts, (np.broadcast_to(context, len(words)), words[:, end]), 1)
    size = counts.sum(axis=1, keepdims=True)
    apart = np.abs(counts / size - table) / np.sqrt(table * (1 - table) / size)
    assert np.max(apart) < 4.5  # standard deviations


def test_last_words_only():
    task = tasks.next_token(samples=5, length=4, vocabulary=3, predict="last", key=key(1))
    both = tasks.next_token(samples=5, length=4, vocabulary=3, predict="each", key=key(1))
    np.testing.assert_array_equal(task.labels, both.labels[:, -1])


def test_cooccurrence_language():
    """The answer says whether both targets are there; random words follow one another as often as they are to."""
    task = tasks.cooccurrence_language(samples=600, length=12, vocabulary=30, correlation=0.7, key=key(2))
    tokens, labels = np.asarray(task.tokens), np.asarray(task.labels)
    both = (tokens == 0).any(axis=1) & (tokens == 1).any(axis=1)
    np.testing.assert_array_equal(labels, np.where(both, 28, 29))
    assert both.sum() == 300
    np.testing.assert_array_equal((tokens == 2).sum(axis=1), 1)
    assert tokens.max() < 28
    chains = [row[row >= 3] for row in tokens]
    follows = np.concatenate([(c[1:] - c[:-1]) % 25 == 1 for c in chains])
    expected = 0.7 + 0.3 / 25
    assert abs(follows.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / len(follows))


def test_in_context_regression_prompts():
    task = tasks.in_context_regression(samples=50, examples=7, features=3, key=key(3))
    x, y = np.asarray(task.tokens)[:, :, :3], np.asarray(task.tokens)[:, :, 3]
    np.testing.assert_array_equal(y[:, -1], 0.0)
    for prompt, shown, label in zip(x, y, np.asarray(task.labels), strict=True):
        w = np.linalg.lstsq(prompt[:-1], shown[:-1], rcond=None)[0]
        np.testing.assert_allclose(prompt[-1] @ w, label, atol=1e-10)


def test_regression_spectrum():
    task = tasks.regression(samples=30, features=5, outputs=4, spectrum=(3.0, 1.0), whitened=True, key=key(4))
    x, y = np.asarray(task.tokens), np.asarray(task.labels)
    np.testing.assert_allclose(np.linalg.svd(y.T @ x / 30)[1], [3.0, 1.0, 0.0, 0.0], atol=1e-12)


def test_cross_entropy_and_its_margins():
    logits = jnp.array([[2.0, 0.0, -1.0], [0.0, 3.0, 1.0]])
    words = jnp.array([0, 2])
    exact = -np.mean([2.0 - np.log(np.exp([2.0, 0.0, -1.0]).sum()), 1.0 - np.log(np.exp([0.0, 3.0, 1.0]).sum())])
    np.testing.assert_allclose(flowsim.losses.cross_entropy(logits, words), exact, rtol=1e-14)
    assert float(flowsim.losses.cross_entropy(1e6 * logits[0], words[0])) == 0.0
    for labels, margin in ((words, -2.0), (jnp.array([0, 1]), 2.0)):  # the worse of 2 and 1 - 3, and of 2 and 3 - 1
        task = tasks.Task(jnp.zeros((1, 1), jnp.int32), labels[None], None, None, 3, ("all",), target="word")
        problem = flowsim.Problem(_Table(logits), task, loss=flowsim.losses.cross_entropy)
        np.testing.assert_allclose(problem.margins(problem.parameters), [margin])


class _Table(flowsim.models.AbstractModel):
    logits: jax.Array

    def trainable(self):
        return True

    def __call__(self, tokens):
        return self.logits


def test_numbers_have_no_margins():
    task = tasks.regression(samples=4, features=2, key=key())
    problem = flowsim.Problem(flowsim.models.DeepLinear(sizes=(2, 1), key=key()), task, loss=flowsim.losses.squared)
    with pytest.raises(ValueError, match="no margins"):
        problem.margins(problem.parameters)


class _Seed:
    seed = 0


CHOICES = {
    "residual": (False, True),
    "layer_norm": (False, True),
    "merged": (False, True),
    "embedding": ("one_hot", "learned"),
    "position": ("none", "learned"),
    "neurons": (None, 3),
    "train_readout": (False, True),
}


# Every option with every other, in one test in five.
@pytest.mark.parametrize("options", list(itertools.product(*CHOICES.values()))[::5])
def test_names_of_parameters_are_the_models(options):
    """The checks know the arrays' names without making the model."""
    named = dict(zip(CHOICES, options, strict=True))
    if named["neurons"] is None and not named["residual"]:
        pytest.skip("the heads would end nowhere")
    config = TransformerModel(layers=2, heads=2, width=4, **named)
    task = tasks.Task(jnp.zeros((2, 3), jnp.int32), jnp.ones(2), None, None, 5)
    model = jax.eval_shape(lambda: config.build(Context(_Seed(), task=task)))
    trained = [name for name in _tree.paths(model) if name != "a" or named["train_readout"]]
    assert sorted(trained) == sorted(config.parameter_names())


GOOD = """name: x
task: {kind: next_token, samples: 8, length: 4, vocabulary: 5}
model: {kind: transformer, width: 4, neurons: 4, causal: true, readout: each}
loss: cross_entropy
flow: {t1: 1.0}
"""


def test_a_good_file_and_its_defaults():
    experiment = load_text(GOOD, origin="e.yaml")
    assert experiment.flow.kind == "gradient"
    assert build.flow(experiment, Context(experiment)) == flowsim.flows.gradient()


@pytest.mark.parametrize(
    ("override", "place", "message"),
    [
        ("loss=logistic", "loss", "must be cross_entropy for the task next_token, whose labels are words"),
        ("model.causal=false", "model.causal", "the others hold the answer"),
        ("model.readout=sum", "model.readout", "must be each"),
        ("model.heads=3", "model.width", "divisible by model.heads = 3, got 4: take 6"),
        ("model={kind: transformer, width: 4, causal: true, readout: each}", "model.neurons", "without residual"),
        ("model={width: 4, neurons: 4}", "model.kind", "must be transformer for the task next_token"),
        ("task.order=12", "task.order", "at most 1e+08 transitions"),
        ("init={kind: gaussian, sigma0: 1, sigma1: 1}", "init.kind", "its arrays are not the paper's"),
        ("events=[common_word_turns]", "events[0]", "only cooccurrence_transformer has it"),
        ("flow={kind: adma, t1: 1}", "flow.kind", "did you mean 'adam'?"),
        ("flow={kind: momentum, t1: 1}", "flow.friction", "is missing"),
        ("flow={kind: sign, t1: 1, reduction: rotation}", "flow.reduction", "must be one of auto, none"),
        ("flow={t1: 1, weight_decay: 1, reduction: gram}", "flow.reduction", "must be auto or none"),
        ("certificate={method: gram} flow={kind: nesterov, t1: 1}", "certificate.method", "plain gradient flow"),
        ("flow.time_scales={blocks.0.heads.0.W_k: 0}", "flow.time_scales", "did you mean 'blocks.0.heads.0.W_K'"),
        ("flow.stages=[{train: [blocks], until: x}, {}]", "flow.stages[0].until", "run's events (phase1_end)"),
        ("flow.stages=[{train: [blocks]}, {}]", "flow.stages[0]", "needs `until`"),
        ("flow.stages=[{until: phase1_end}]", "flow.stages[0].until", "left out in the last stage"),
        (
            "model={width: 1e9, neurons: 4} task={kind: regression, samples: 4, features: 2}",
            "model.kind",
            "deep_linear",
        ),
        (
            "task={kind: regression, samples: 4, features: 2}",
            "model.kind",
            "must be deep_linear or diagonal_linear or mlp",
        ),
    ],
)
def test_what_does_not_go_together(override, place, message):
    overrides = re.split(r" (?=flow=|task=)", override)
    with pytest.raises(ExperimentErrors) as caught:
        load_text(GOOD, origin="e.yaml", overrides=overrides)
    found = {problem.key: problem.message for problem in caught.value.problems}
    assert message in found[place], found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two_layer", "next_token", "momentum", "attention_only_then_all", "deep_linear"])
def test_experiments_are_sound_and_build(name):
    from flowsim.config import load

    experiment = load(EXPERIMENTS / f"{name}.yaml")
    problem = build.problem(experiment, EXPERIMENTS)
    assert sorted(experiment.model.parameter_names()) == sorted(_tree.paths(problem.parameters))
    flow = build.flow(experiment, Context(experiment))
    state = jax.eval_shape(lambda: flow.init(problem))
    velocity, rate = jax.eval_shape(lambda s: flow.velocity(problem, jnp.ones(()), s), state)
    assert jax.tree.structure(velocity) == jax.tree.structure(state)
    assert rate.shape == ()


@pytest.mark.slow
def test_deep_linear_experiment_runs(tmp_path):
    """A file of the new kinds through the whole command: certificate, figures, report, modes in the dataset."""
    from flowsim.config import Source, load
    from flowsim.experiment.run import run_experiment

    path = EXPERIMENTS / "deep_linear.yaml"
    experiment = load(path, ["flow.t1=6.0", "save.points=20", "solver.rtol=1e-6", "certificate=false"])
    outcome = run_experiment(Source(experiment, path.read_text(), EXPERIMENTS), tmp_path / "run")
    assert outcome.ok
    assert outcome.summary.events["loss_below"].time == pytest.approx(3.94, abs=0.01)
    assert (tmp_path / "run" / "figures" / "structure.png").exists()
    import xarray

    with xarray.open_dataset(tmp_path / "run" / "trajectory.nc") as dataset:
        assert list(dataset["mode"].values) == list(range(1, 9))
        np.testing.assert_allclose(dataset["singular_values"].values[-1, :2], [4.0, 2.0], atol=1e-2)
