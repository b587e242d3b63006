"""Tasks and models that the papers of the gallery use, as kinds of experiment files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.config import load_text
from flowsim.experiment import build

TEXT = """name: parts
task: {task}
model: {model}
init: as_made
flow: {{kind: gradient, t1: 1.0}}
"""


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ("{kind: teacher_student, samples: 9, features: 4, neurons: 2}", "{kind: diagonal_linear, scale: 0.1}"),
        ("{kind: modular_addition, modulus: 5}", "{kind: mlp, hidden: [6], activation: quadratic, bias: false}"),
        ("{kind: modular_addition, modulus: 5, samples: 8}", "{kind: mlp, hidden: [6], activation: erf}"),
        ("{kind: regression, samples: 9, features: 4}", "{kind: mlp, hidden: [6], activation: leaky_relu}"),
    ],
)
def test_built_from_an_experiment(task, model, tmp_path):
    experiment = load_text(TEXT.format(task=task, model=model), origin="x.yaml")
    problem = build.problem(experiment, tmp_path)
    velocity, rate = problem.velocity(problem.parameters)
    assert float(rate) > 0
    assert all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(velocity))


def test_modular_addition():
    task = flowsim.tasks.modular_addition(modulus=7, key=jax.random.key(0))
    tokens = np.asarray(task.tokens)
    first, second = np.argmax(tokens[:, :7], axis=1), np.argmax(tokens[:, 7:], axis=1)
    np.testing.assert_array_equal(np.argmax(task.labels, axis=1), (first + second) % 7)
    assert len({*zip(first, second, strict=True)}) == 49
    some = flowsim.tasks.modular_addition(modulus=7, samples=20, key=jax.random.key(0)).tokens
    assert len(np.unique(some, axis=0)) == 20
    with pytest.raises(ValueError, match="modulus²"):
        flowsim.tasks.modular_addition(modulus=3, samples=10, key=jax.random.key(0))


def test_teacher_student_keeps_its_teacher():
    """Quadratic labels are a quadratic form, which other inputs of the same teacher share."""
    given = {"features": 3, "activation": "quadratic", "neurons": 2, "key": jax.random.key(1)}
    first = flowsim.tasks.teacher_student(samples=30, **given)
    other = flowsim.tasks.teacher_student(samples=5, draw=jax.random.key(7), **given)

    def features(x):
        return np.einsum("ni,nj->nij", x, x).reshape(len(x), -1)

    form = np.linalg.lstsq(features(np.asarray(first.tokens)), np.asarray(first.labels), rcond=None)[0]
    np.testing.assert_allclose(features(np.asarray(other.tokens)) @ form, other.labels, atol=1e-10)


def test_diagonal_network_conserves_its_product():
    task = flowsim.tasks.regression(samples=4, features=6, key=jax.random.key(2))
    model = flowsim.models.DiagonalLinear(features=6, scale=0.3)
    result = flowsim.simulate(flowsim.Problem(model, task, loss=flowsim.losses.squared), t1=5.0, rtol=1e-10)
    np.testing.assert_allclose(result.model.u * result.model.v, 0.09, rtol=1e-8)
    assert not np.allclose(result.model.u, 0.3)
    with pytest.raises(ValueError, match="scale"):
        flowsim.models.DiagonalLinear(features=2, scale=0.0)
