"""Models of other libraries, as models of a `flowsim.Problem`.

    problem = flowsim.Problem(flowsim.adapt.nnx(module), task)

Each adapter imports its library when it is called: `python -m pip install flax safetensors`, or the extra `adapt`.
"""

from .flax import linen, nnx
from .tensors import Part, transformer

__all__ = ["Part", "linen", "nnx", "transformer"]
