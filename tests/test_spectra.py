"""Spectra along the path: the Hessian's against the whole matrix, the kernel's against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flowsim
from flowsim.linalg import extremes, lanczos, quadrature

from .problems import reference

LONG_FIXTURES = ("run",)  # what uses them is slow


def symmetric(values, seed=0):
    """A matrix with this spectrum in random coordinates."""
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values), len(values))))[0]
    return jnp.asarray(q @ np.diag(values) @ q.T)


def start(size, seed=1):
    return jnp.asarray(np.random.default_rng(seed).normal(size=size))


def test_error_bounds_hold_and_shrink():
    values = np.concatenate([[-3.0, -1.0], np.linspace(0.0, 1.0, 56), [4.0, 9.0]])
    matrix = symmetric(values)
    bounds = []
    for steps in (8, 24):
        found = extremes(lambda v: matrix @ v, start(60), count=2, steps=steps)
        for given, error in ((found.lowest, found.lowest_errors), (found.largest, found.largest_errors)):
            nearest = np.min(np.abs(np.asarray(given)[:, None] - values), axis=1)
            assert np.all(nearest <= error + 1e-12)
        bounds.append(float(jnp.max(found.lowest_errors)))
    assert bounds[1] < 1e-3 * bounds[0]
    np.testing.assert_allclose(found.lowest, [-3, -1], atol=1e-6)
    np.testing.assert_allclose(found.largest, [9, 4], atol=1e-6)
    np.testing.assert_allclose(found.lowest_vectors @ matrix, found.lowest[:, None] * found.lowest_vectors, atol=1e-4)


def test_space_that_is_exhausted():
    """Three different eigenvalues: three products, and no noise is taken for a vector."""
    matrix = symmetric([2.0] * 4 + [-1.0] * 3 + [0.5])
    space, _, _ = lanczos(lambda v: matrix @ v, start(8), most=8)
    assert int(space.size) == 3
    assert bool(space.exhausted)
    found = extremes(lambda v: matrix @ v, start(8), count=3, steps=8)
    np.testing.assert_allclose(found.lowest, [-1, 0.5, 2], atol=1e-12)
    assert float(jnp.max(found.lowest_errors)) < 1e-12


def test_quadrature_gives_the_moments():
    """Of each start the rule integrates polynomials of degree below 2 · nodes exactly."""
    matrix, starts = symmetric(np.linspace(-1, 2, 30)), start((5, 30))
    nodes, weights = quadrature(lambda v: matrix @ v, starts, steps=4)
    np.testing.assert_allclose(jnp.sum(weights, axis=1), 1, rtol=1e-12)
    for degree in range(8):
        power = np.linalg.matrix_power(np.asarray(matrix), degree)
        exact = np.einsum("si,ij,sj->s", starts, power, starts) / np.sum(np.asarray(starts) ** 2, axis=1)
        np.testing.assert_allclose(jnp.sum(weights * nodes**degree, axis=1), exact, rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module", name="run")
def _run():
    problem, _ = reference()
    chosen = flowsim.probes.hessian_spectrum(count=2, steps=40, density=True, starts=3, nodes=12)
    chosen |= flowsim.probes.ntk(count=3, samples=6)
    return problem, flowsim.simulate(problem, t1=1.0, probes=chosen, save_times=[0.0, 1e-4, 0.5, 1.0])


def test_hessian_spectrum_of_a_run(run):
    problem, result = run
    ds = result.dataset
    flat, unravel = jax.flatten_util.ravel_pytree(problem.parameters)
    whole = np.linalg.eigvalsh(jax.hessian(lambda x: problem.risk(unravel(x)))(flat))
    found, bound = ds.hessian_spectrum.values[0], ds.hessian_residual.values[0]
    for value, error in zip(found, bound, strict=True):
        assert np.min(np.abs(whole - value)) <= error + 1e-12
    np.testing.assert_allclose(found[[0, -1]], whole[[0, -1]], rtol=1e-4)
    nodes, weights = ds.hessian_density.sel(rule="node").values[0], ds.hessian_density.sel(rule="weight").values[0]
    traces = np.sum(nodes * weights, axis=1) * flat.size
    assert abs(np.mean(traces) - whole.sum()) < 4 * np.std(traces) + 1e-12


def test_kernel_of_a_run(run):
    """Against JJᵀ from the whole jacobian, at the start and at the end."""
    problem, result = run
    ds = result.dataset
    y = np.asarray(problem.task.labels[:6], float)
    kernels = []
    for parameters in (problem.parameters, result.parameters):
        flat, unravel = jax.flatten_util.ravel_pytree(parameters)
        jacobian = np.asarray(jax.jacrev(lambda x, unravel=unravel: problem.predictions(unravel(x))[:6])(flat))
        kernels.append(jacobian @ jacobian.T)
    for row, kernel in zip((0, -1), kernels, strict=True):
        np.testing.assert_allclose(ds.ntk_spectrum.values[row], np.linalg.eigvalsh(kernel)[::-1][:3], rtol=1e-9)
        aligned = y @ kernel @ y / (y @ y * np.linalg.norm(kernel))
        np.testing.assert_allclose(ds.ntk_alignment.values[row], aligned, rtol=1e-9)
    first, last = kernels
    distance = np.linalg.norm(last - first) / np.linalg.norm(first)
    np.testing.assert_allclose(ds.ntk_distance.values[[0, -1]], [0, distance], rtol=1e-9)
    assert np.all(ds.ntk_speed.values > 0)


def test_speed_of_the_kernel_is_its_derivative(run):
    ds = run[1].dataset
    np.testing.assert_allclose(ds.ntk_distance.values[1] / 1e-4, ds.ntk_speed.values[0], rtol=0.01)


def test_refusals():
    with pytest.raises(ValueError, match="at least 2 count"):
        flowsim.probes.hessian_spectrum(count=10, steps=12)
    with pytest.raises(ValueError, match="at least 1"):
        flowsim.probes.ntk(count=0)
    plain = flowsim.Problem.from_loss(lambda x: jnp.sum(x**2), jnp.ones(2))
    with pytest.raises(ValueError, match="no samples"):
        flowsim.simulate(plain, t1=1.0, probes=flowsim.probes.ntk())
    with pytest.raises(ValueError, match="eigenvalues, 8 are asked for"):
        flowsim.simulate(reference()[0], t1=1.0, probes=flowsim.probes.ntk(samples=4))


def test_three_terms_are_enough_without_orthogonalization():
    """A few vectors are orthonormal to rounding by the recurrence alone, and J between them is tridiagonal."""
    matrix = np.random.default_rng(0).normal(size=(30, 30))
    matrix = jnp.asarray(matrix + matrix.T)
    space, _, _ = lanczos(lambda v: matrix @ v, jnp.arange(1.0, 31.0), most=5, orthogonalize=False)
    np.testing.assert_allclose(space.basis @ space.basis.T, np.eye(5), atol=1e-12)
    between = np.diag(space.diagonal) + np.diag(space.off[:4], 1) + np.diag(space.off[:4], -1)
    np.testing.assert_allclose(space.basis @ matrix @ space.basis.T, between, atol=1e-11)
