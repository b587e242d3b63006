"""The regions in which the theory keeps its two phases, with the constants that its Θ and Ω hide as arguments."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..moment import Moment
from .event import Event


def leaves_phase1_region(
    *,
    value: float = 0.1,
    score: float = 0.1,
    key: float = 0.1,
    query: float = 0.1,
    name: str = "leaves_phase1_region",
    terminal: bool = False,
) -> Event:
    """The first bound of Definition E.2 to break: an inner product of words has left its initial value.

        max |W_VᵀW_V(t) - W_VᵀW_V(0)| ≤ value · mean diagonal of W_VᵀW_V(0)

    and likewise W_KᵀW_Q by `score`, W_KᵀW_K by `key` and W_QᵀW_Q by `query`, over all words; the scores are measured
    against the mean diagonals of W_KᵀW_K and W_QᵀW_Q. The typical diagonal is σ0² m.

    **Arguments:** `value`, `score`, `key`, `query`: the constants, > 0.
    """
    text = "an inner product of words has left its initial value by the constants of Definition E.2"
    return Event(name, _Phase1((value, score, key, query)), "down", terminal, text)


def leaves_phase2_region(
    *,
    gap: float = 1.0,
    low: float = 1.0,
    high: float = 3.0,
    name: str = "leaves_phase2_region",
    terminal: bool = False,
) -> Event:
    """The first bound of Definition F.1 to break, after it held: the order of the groups' gradients and their balance.

        Σ_I4 ≤ min(Σ_I2, Σ_I3) ≤ max(Σ_I2, Σ_I3) ≤ Σ_I1 ≤ Σ_I2∪I3∪I4
        |Σ_I2 - Σ_I3| ≤ gap · min(Σ_I2, Σ_I3),   low ≤ R ≤ high

    with Σ = Σ g_i over a group and R = (Σ_I2∪I3∪I4 - Σ_I1)/(Σ_I1 - Σ_I2) (Lemmas 4.4 and 4.5).

    **Arguments:** `gap`, `low`, `high`: the constants.
    """
    text = "the order or the balance of the groups' gradients breaks (Definition F.1)"
    return Event(name, _Phase2(gap, low, high), "down", terminal, text)


class _Phase1(eqx.Module):
    constants: tuple[float, float, float, float]

    def __call__(self, moment: Moment) -> Float[Array, "4"]:
        words = jnp.arange(moment.problem.samples.vocabulary)
        start = moment.problem.model(moment.problem.parameters)
        grams = (start.value_gram(words), start.key_gram(words), start.query_gram(words))
        value, key, query = (jnp.mean(jnp.diagonal(gram)) for gram in grams)
        drifts = (
            moment.drift(lambda model: model.value_gram(words)),
            moment.drift(lambda model: model.key_query(words)),
            moment.drift(lambda model: model.key_gram(words)),
            moment.drift(lambda model: model.query_gram(words)),
        )
        sizes = (value, jnp.sqrt(key * query), key, query)
        return jnp.stack([c * size - drift for c, size, drift in zip(self.constants, sizes, drifts, strict=True)])


class _Phase2(eqx.Module):
    gap: float
    low: float
    high: float

    def __call__(self, moment: Moment) -> Float[Array, "9"]:
        both, first, second, neither = moment.gradient_sums()
        surplus, pull = first + second + neither - both, both - first
        # Products instead of ratios: they are smooth where a denominator vanishes. All are divided by their sum, so
        # that a fall of all gradients together is no approach to zero.
        parts = jnp.stack([
            first - neither, second - neither, both - first, both - second, surplus,
            self.gap * first - (second - first), self.gap * second - (first - second),
            surplus - self.low * pull, self.high * pull - surplus,
        ])  # fmt: skip
        return parts / (both + first + second + neither)
