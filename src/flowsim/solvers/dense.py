"""Dense output: the state at any time inside a step."""

import abc

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import PyTree


class AbstractDense(diffrax.AbstractLocalInterpolation):
    """Dense output that is given by the state at a time."""

    @abc.abstractmethod
    def at(self, t) -> PyTree:
        """The state at a time."""

    def evaluate(self, t0, t1=None, left: bool = True):
        """As Diffrax asks for it: the state at `t0`, or its change from there to `t1`."""
        del left
        return self.at(t0) if t1 is None else jax.tree.map(jnp.subtract, self.at(t1), self.at(t0))
