"""The event that ends a mode of a flow with kinks."""

import equinox as eqx
from jaxtyping import Array, Float, Int

from ..flows import KINKS, Sliding
from ..moment import Moment
from .event import Event


def kinks() -> Event:
    """A kink is met, or one that was slid along is left. Runs of the flow `Sliding` have it by themselves.

    Each crossing records the number of the kink (in the order in which the risk forms them), and how many kinks the
    flow slid along before.
    """
    text = "a kink of the risk is met, or one that the flow slid along is left"
    return Event(KINKS, _Margins(), "down", False, text, {"kink": _number, "sliding": _sliding})


class _Margins(eqx.Module):
    def __call__(self, moment: Moment) -> Float[Array, "margins"]:
        flow: Sliding = moment.flow
        return flow.margins(moment.problem, moment.state)


def _number(moment: Moment) -> Int[Array, ""]:
    flow: Sliding = moment.flow
    return flow.ends(moment.problem, moment.t, moment.state)


def _sliding(moment: Moment) -> Int[Array, ""]:
    return moment.state.sliding
