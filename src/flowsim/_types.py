"""Array and pytree aliases, and the glossary of axis names used in every annotation.

| axis | meaning | symbol in the paper |
|---|---|---|
| `samples` | training samples | n |
| `length` | tokens per sample | L |
| `vocabulary` | words | d |
| `width` | embedding width | m |
| `neurons` | neurons of the MLP | m1 |
| `rank` | rows of a matrix after the rotation reduction | at most min(m, 2d) |
| `time` | saved times | |
| `groups` | the sample groups `both, first, second, neither` | I1 … I4 |

Token 0 is the first target word (the paper's μ1), token 1 the second (μ2), token 2 the common word (μ3), and
tokens 3 … d-1 are the random words.
"""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

Scalar = Float[Array, ""]
Parameters = PyTree  # whatever the loss takes: every inexact array in it is trained
Key = PRNGKeyArray
Risk = Callable[[Parameters], Scalar]

__all__ = ["Any", "Array", "Callable", "Float", "Int", "Key", "Parameters", "PyTree", "Risk", "Scalar"]
