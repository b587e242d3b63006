"""The sharpness probe against the eigenvalues of the whole Hessian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim

from .problems import reference


def test_quadratic():
    """Constant along the flow, and exact once Lanczos has used the whole space up."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    matrix = jnp.asarray(root @ root.T)
    problem = flowsim.Problem.from_loss(lambda x: x @ matrix @ x / 2, jnp.ones(6))
    result = flowsim.simulate(problem, t1=1.0, probes={"sharpness": flowsim.probes.sharpness(3)}, save_times=[0.0, 1.0])
    expected = np.linalg.eigvalsh(matrix)[::-1][:3]
    np.testing.assert_allclose(result.trajectory.values["sharpness"], [expected, expected], rtol=1e-9)
    assert result.dataset["sharpness"].dims == ("time", "eigenvalue")


def test_space_that_is_used_up_early():
    """-1 five times over: Lanczos ends after one step, and no 0 is made up."""
    found = flowsim.probes.largest_eigenvalues(lambda x: -jnp.sum(x**2) / 2, jnp.ones(5), count=1, steps=5)
    np.testing.assert_allclose(found, [-1.0], rtol=1e-12)


@pytest.mark.parametrize("reduction", ["auto", pytest.param("none", marks=pytest.mark.slow)])
def test_transformer_in_any_coordinates(reduction):
    """In the user's parameters, whatever the flow is integrated in: of the whole Hessian, and of diagonal blocks."""
    problem, _ = reference()
    wanted = {name: flowsim.probes.sharpness(of=name) for name in ("W_V", "W_K")}
    wanted["all"] = flowsim.probes.sharpness()
    result = flowsim.simulate(problem, t1=1.0, reduction=reduction, probes=wanted, save_times=[0.0, 1.0])
    flat, unravel = jax.flatten_util.ravel_pytree(problem.parameters)
    hessian = np.asarray(jax.hessian(lambda x: problem.risk(unravel(x)))(flat))
    numbers = unravel(jnp.arange(flat.size, dtype=flat.dtype))
    for name in wanted:
        rows = np.arange(flat.size) if name == "all" else np.asarray(getattr(numbers, name), int).ravel()
        block = np.linalg.eigvalsh(hessian[np.ix_(rows, rows)])
        np.testing.assert_allclose(result.trajectory.values[name][0], block[-1], rtol=1e-5)


def test_refusals():
    with pytest.raises(ValueError, match="'W_X' names no trained array"):
        flowsim.simulate(reference()[0], t1=1.0, probes={"s": flowsim.probes.sharpness(of="W_X")})
    with pytest.raises(ValueError, match="raise steps"):
        flowsim.probes.sharpness(30)


def test_experiment_file(tmp_path):
    from flowsim.config import load

    text = (
        "name: s\ntask: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 8}\n"
        "model: {kind: cooccurrence_transformer, width: 4, neurons: 4}\nflow: {t1: 1.0}\nprobes: [{PROBE}]\n"
    )
    path = tmp_path / "e.yaml"
    path.write_text(text.replace("{PROBE}", "sharpness"))
    from flowsim.experiment import build

    experiment = load(path, ())
    prepared = build.prepared(experiment, build.problem(experiment, tmp_path))
    assert prepared.plan.probes[-1].name == "sharpness"
