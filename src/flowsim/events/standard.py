"""The moments that the theory speaks of (docs: claims).

Conditions are modules, not closures: two runs with the same conditions then share one compiled program.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..moment import Moment
from .event import Event


def phase1_end(*, name: str = "phase1_end", terminal: bool = False) -> Event:
    """T1 of Theorem 3.1: every training sample is classified correctly; min_i y_i F_i crosses 0 upwards."""
    return Event(name, _Margins(0.0), "up", terminal, "every training sample is classified correctly")


def margin_reached(margin: float, *, name: str = "margin_reached", terminal: bool = False) -> Event:
    """min_i y_i F_i reaches `margin`."""
    return Event(name, _Margins(margin), "up", terminal, f"every margin is at least {margin:g}")


def mlp_aligned(level: float, *, name: str = "mlp_aligned", terminal: bool = False) -> Event:
    """G(0) ≥ `level`, G(1) ≥ `level` and G(2) ≤ -`level` all hold for the first time."""
    return Event(name, _Aligned(level), "up", terminal, f"the MLP is aligned with the target words to {level:g}")


def attention_moves(epsilon: float, *, name: str = "attention_moves", terminal: bool = False) -> Event:
    """Some attention probability of a training sample is `epsilon` away from its initial value."""
    return Event(name, _AttentionMoved(epsilon), "up", terminal, f"an attention probability has moved by {epsilon:g}")


def common_word_turns(*, name: str = "common_word_turns", terminal: bool = False) -> Event:
    """T0.5 of Lemma 4.3: -dG(2)/dt ≥ max(dG(0)/dt, dG(1)/dt) for the first time."""
    return Event(name, _CommonFalls(), "up", terminal, "the common word falls faster than either target word rises")


def loss_below(value: float, *, name: str = "loss_below", terminal: bool = False) -> Event:
    """The training loss falls below `value`."""
    return Event(name, _LossBelow(value), "up", terminal, f"the training loss is below {value:g}")


def gradient_below(value: float, *, name: str = "gradient_below", terminal: bool = False) -> Event:
    """The norm of the gradient falls below `value`."""
    return Event(name, _GradientBelow(value), "up", terminal, f"the gradient norm is below {value:g}")


class _Margins(eqx.Module):
    margin: float

    def __call__(self, moment: Moment) -> Float[Array, "samples"]:
        return moment.problem.margins(moment.parameters) - self.margin


class _Aligned(eqx.Module):
    level: float

    def __call__(self, moment: Moment) -> Float[Array, "3"]:
        alignment = moment.model.alignment()[:3]
        return alignment * jnp.array([1.0, 1.0, -1.0], alignment.dtype) - self.level


class _AttentionMoved(eqx.Module):
    epsilon: float

    def __call__(self, moment: Moment) -> Float[Array, "1"]:
        tokens = moment.problem.samples.tokens
        initial = moment.problem.model(moment.problem.parameters)
        moved = jax.vmap(moment.model.attention)(tokens) - jax.vmap(initial.attention)(tokens)
        # The largest of many entries has kinks where they change places. Kinks of a maximum point downwards from its
        # neighbors' chord, so between two nodes it lies below the chord: an early crossing is never invented, and the
        # one that counts is solved for on the flow.
        return jnp.max(jnp.abs(moved))[None] - self.epsilon


class _CommonFalls(eqx.Module):
    def __call__(self, moment: Moment) -> Float[Array, "2"]:
        rate = moment.rate(lambda model: model.alignment()[:3])
        return -rate[2] - rate[:2]


class _LossBelow(eqx.Module):
    value: float

    def __call__(self, moment: Moment) -> Float[Array, "1"]:
        return self.value - moment.problem.risk(moment.parameters)[None]


class _GradientBelow(eqx.Module):
    value: float

    def __call__(self, moment: Moment) -> Float[Array, "1"]:
        _, rate = moment.problem.velocity(moment.parameters)
        return self.value - jnp.sqrt(jnp.maximum(rate, 0.0))[None]
