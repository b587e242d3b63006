"""What is known of a number while a traced program is taken apart."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Value(NamedTuple):
    """A number of the program.

    **Fields:** `moves`: does it depend on the parameters? `of`, `factor`: it is so many times that array, if it is a
    plain multiple of one; `test`: the number whose sign it tells, and is it true above 0? (for a comparison with 0).
    """

    array: Any
    moves: bool
    of: Any = None
    factor: float = 1.0
    test: tuple["Value", bool] | None = None

    @property
    def multiple(self) -> tuple[Any, float]:
        return (self.array, 1.0) if self.of is None else (self.of, self.factor)

    @property
    def zero(self) -> bool:
        return (
            not self.moves and isinstance(self.array, np.ndarray | np.generic | float | int) and not np.any(self.array)
        )

    @property
    def is_float(self) -> bool:
        return jnp.issubdtype(jnp.result_type(self.array), jnp.floating)

    @property
    def known(self) -> bool:
        """Is it there while the program is traced, and no key of random numbers?"""
        if self.moves or isinstance(self.array, jax.core.Tracer):
            return False
        return not jax.dtypes.issubdtype(jnp.result_type(self.array), jax.dtypes.extended)

    @property
    def identity(self) -> Any:
        """What two values share only if they are the same: a plain number's digits, else the array itself."""
        if np.size(self.array) > 1 or not self.known:
            return id(self.array)
        number = np.asarray(self.array)
        return number.dtype.str, number.shape, number.tobytes()

    @property
    def number(self) -> float | None:
        """A single finite number other than 0 that is known; None for any other."""
        if np.ndim(self.array) or not self.known:
            return None
        number = float(self.array)
        return number if np.isfinite(number) and number else None

    @property
    def unbounded(self) -> bool:
        """Is it an infinite bound, which nothing meets?"""
        return self.known and bool(np.all(np.isinf(np.asarray(self.array))))
