"""Probes that the paper's claims need beyond those of the figures (docs: claims)."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..moment import Moment
from ..problem import Problem
from .probe import Probe
from .samples import group_mean
from .words import SHOWN


def _alignment_rate(moment):
    return moment.rate(lambda model: model.alignment()[:SHOWN])


def _attention_score_rate(moment):
    return moment.rate(lambda model: model.key_query(jnp.arange(SHOWN)))


def _value_gram_rate(moment):
    return moment.rate(lambda model: model.value_gram(jnp.arange(SHOWN)))


def _curvature_sum(moment):
    problem, task = moment.problem, moment.problem.samples
    second = jax.vmap(jax.grad(jax.grad(problem.loss)))(problem.predictions(moment.parameters), task.labels)
    return jax.ops.segment_sum(second, task.groups, len(task.group_names))


def _balance_gap(moment):
    _, first, second, _ = moment.gradient_sums()
    return _over(first - second, jnp.minimum(first, second))


def _balance_ratio(moment):
    both, first, second, neither = moment.gradient_sums()
    return _over(first + second + neither - both, both - first)


def _balance_root(moment):
    s1, s2, s3, s4 = _curvature_sum(moment)
    half, last = (s3 + s4 - s1) / (2 * (s1 + s2)), -(s2 + s3 + 2 * s1) / (s1 + s2)
    return -half + jnp.sqrt(half**2 - last)


def _over(x, y):
    """x / y, and 0 where y vanishes: a trajectory holds numbers only."""
    return jnp.where(y == 0, 0.0, x / jnp.where(y == 0, 1.0, y))


def _loss_by_group_rate(moment):
    problem, task = moment.problem, moment.problem.samples
    velocity, _ = problem.velocity(moment.parameters)

    def logarithms(parameters):
        return jnp.log(group_mean(problem.losses(parameters), task.groups, len(task.group_names)))

    return jax.jvp(logarithms, (moment.parameters,), (velocity,))[1]


def _readout_rate_defect(moment):
    problem = moment.problem
    prediction = problem.predictions(moment.parameters)
    terms = 2 * a_squared(problem) * problem.slopes(moment.parameters) * prediction
    rate = moment.rate(lambda model: model.readout_squared())
    # Relative to the sum of the terms' sizes: the terms cancel where phase 1 ends, and their sum has no figures there.
    return jnp.abs(rate + jnp.mean(terms)) / jnp.maximum(jnp.mean(jnp.abs(terms)), jnp.finfo(terms.dtype).tiny)


def a_squared(problem: Problem) -> Float[Array, ""]:
    """‖a‖², which is m1 for the paper's a_j = ±1, in whatever coordinates the model is written."""
    if problem.metric is None:
        return problem.model(problem.parameters).a_squared()
    return problem.metric.a_squared  # pyright: ignore[reportFunctionMemberAccess]


class _Drift(eqx.Module):
    """max |x(t) - x(0)| over all pairs of words."""

    method: str = eqx.field(static=True)

    def __call__(self, moment: Moment) -> Float[Array, ""]:
        words = jnp.arange(moment.problem.samples.vocabulary)
        return moment.drift(lambda model: getattr(model, self.method)(words))


class NeuronDrift(eqx.Module):
    """max_ij |⟨w_i, w_j⟩(t) - ⟨w_i, w_j⟩(0)| without forming W(t).

    W moves along a alone, w_i(t) = w_i(0) + a_i δ with δ = (u(t) - u(0))/‖a‖², so that

        ⟨w_i, w_j⟩(t) - ⟨w_i, w_j⟩(0) = a_j w_i·δ + a_i w_j·δ + a_i a_j ‖δ‖²

    which for a_i = ±1 has the size |q_i + q_j + ‖δ‖²| with q_i = a_i w_i·δ: the largest is at two equal indices.

    **Fields:** `signed`: row i is a_i w_i(0) in the coordinates in which u is integrated.
    """

    signed: Float[Array, "neurons rank"]

    def __call__(self, moment: Moment) -> Float[Array, ""]:
        start = moment.problem.model(moment.problem.parameters)
        delta = (moment.model.readout() - start.readout()) / a_squared(moment.problem)
        along, size = self.signed @ delta, jnp.sum(delta**2)
        return jnp.maximum(jnp.abs(2 * jnp.max(along) + size), jnp.abs(2 * jnp.min(along) + size))


_GROUPED = (
    Probe("balance_gap", (), "(Σ_I2 g - Σ_I3 g) / min(Σ_I2 g, Σ_I3 g) (Lemma 4.4)", "1", _balance_gap),
    Probe("balance_ratio", (), "R = (Σ_I2∪I3∪I4 g - Σ_I1 g) / (Σ_I1 g - Σ_I2 g) (Lemma 4.5)", "1", _balance_ratio),
    Probe("balance_root", (), "root R* that attracts R (Equation 16)", "1", _balance_root),
    Probe("loss_by_group_rate", ("group",), "d log(loss)/dt of each group", "1", _loss_by_group_rate),
)
_RATES = (
    Probe("alignment_rate", ("word",), "dG/dt of words 0-2", "1", _alignment_rate),
    Probe("attention_score_rate", ("key_word", "query_word"), "d(W_KᵀW_Q)/dt of words 0-2", "1", _attention_score_rate),
    Probe("value_gram_rate", ("word", "word_2"), "d(W_VᵀW_V)/dt of words 0-2", "1", _value_gram_rate),
    Probe("readout_rate_defect", (), "relative defect of d‖u‖²/dt = (2 m1/n) Σ g y F", "1", _readout_rate_defect),
)
_DRIFTS = tuple(
    Probe(f"{method}_drift", (), f"max over all words of |{text}(t) - {text}(0)|", "1", _Drift(method))
    for method, text in (
        ("value_gram", "W_VᵀW_V"),
        ("key_query", "W_KᵀW_Q"),
        ("key_gram", "W_KᵀW_K"),
        ("query_gram", "W_QᵀW_Q"),
    )
)


def of_claims(problem: Problem, signed_neurons: Float[Array, "neurons rank"] | None = None) -> tuple[Probe, ...]:
    """What the paper's claims are measured from, beside the standard probes.

    **Arguments:** `problem`: the one that is integrated. `signed_neurons`: row i is a_i w_i(0) in its coordinates of u,
    for `neuron_drift`; None where the neurons are not there.

    **Raises:** `ValueError` if the samples are not grouped or the model has no words.
    """
    if not problem.is_word_problem or problem.samples.groups is None:
        raise ValueError("the paper's claims are about grouped samples of words; this problem has none.")
    if signed_neurons is None:
        return _GROUPED + _RATES + _DRIFTS
    text = "max over all pairs of neurons of |⟨w_i, w_j⟩(t) - ⟨w_i, w_j⟩(0)|"
    return (*_GROUPED, *_RATES, *_DRIFTS, Probe("neuron_drift", (), text, "1", NeuronDrift(signed_neurons)))
