"""Numbers with bounds on their errors."""

import dataclasses
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _checks
from .condition import Condition, positive

_EPS = float(np.finfo(np.float64).eps)


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """A number, or an array of numbers, with a bound on the error of each: the true value is in value ± error.

    Sums, products, quotients, powers, `log`, `exp`, `sqrt` and `abs` carry worst-case bounds. `<`, `>`, `<=` and `>=`
    give a `Condition`, which is certainly true, certainly false, or too close to call.

    **Arguments:** `value`; `error` ≥ 0, infinite where nothing is known; `label`: what it is, for tables.
    """

    value: Any
    error: Any = 0.0
    label: str = ""

    def __post_init__(self):
        value = np.asarray(self.value, np.float64)
        error = np.broadcast_to(np.asarray(self.error, np.float64), value.shape)
        if np.any(error < 0):
            raise ValueError("an error bound must be ≥ 0.")
        error = np.where(np.isnan(value) | np.isnan(error), np.inf, error)
        object.__setattr__(self, "value", float(value) if value.ndim == 0 else value)
        object.__setattr__(self, "error", float(error) if value.ndim == 0 else error)

    @classmethod
    def of(cls, x: Any) -> "Measured":
        """A number as it is, exact if it has no error bound."""
        if isinstance(x, Measured):
            return x
        value = np.asarray(x)
        if value.dtype.kind not in "biuf":
            raise TypeError(f"wanted a number or flowsim.claims.Measured, got {_checks.described(x)}.")
        return cls(value, 0.0, f"{float(value):.6g}" if value.ndim == 0 else "")

    @property
    def exact(self) -> bool:
        """Is it a plain number, without an error?"""
        return bool(np.all(np.asarray(self.error) == 0))

    @property
    def low(self) -> Any:
        """The least that the true value can be."""
        return self.value - self.error

    @property
    def high(self) -> Any:
        """The most that the true value can be."""
        return self.value + self.error

    def named(self, label: str) -> "Measured":
        """The same number under another label."""
        return dataclasses.replace(self, label=label)

    def __getitem__(self, index: Any) -> "Measured":
        return Measured(self.value[index], self.error[index], f"{self.label}[{index}]" if self.label else "")

    def __float__(self) -> float:
        return float(self.value)

    def __repr__(self) -> str:
        if np.ndim(self.value):
            return f"Measured({self.label or 'array'} {np.shape(self.value)}, error ≤ {np.max(self.error):.1e})"
        return f"{self.value:.12g} ± {self.error:.1e}"

    def __neg__(self):
        return Measured(-self.value, self.error, f"-{self.label}" if self.label else "")

    def __add__(self, other):
        return _sum(self, other, operator.add, "+")

    def __radd__(self, other):
        return _sum(other, self, operator.add, "+")

    def __sub__(self, other):
        return _sum(self, other, operator.sub, "-")

    def __rsub__(self, other):
        return _sum(other, self, operator.sub, "-")

    def __mul__(self, other):
        return _product(self, other)

    def __rmul__(self, other):
        return _product(other, self)

    def __truediv__(self, other):
        return _quotient(self, other)

    def __rtruediv__(self, other):
        return _quotient(other, self)

    def __pow__(self, power: float | int):
        return self._monotone(lambda x: np.sign(x) ** (power % 2 != 0) * np.abs(x) ** power, f"^{power:g}", power)

    def __abs__(self):
        return Measured(np.abs(self.value), self.error, f"|{self.label}|" if self.label else "")

    def log(self) -> "Measured":
        """ln; the error is infinite where the true value may not be positive."""
        value, low, high = map(np.asarray, (self.value, np.maximum(self.low, 0.0), self.high))
        with np.errstate(divide="ignore", invalid="ignore"):
            value, error = np.log(value), np.maximum(np.log(high / value), np.log(value / low))
        error = np.where(np.asarray(self.low) > 0, error + 2 * _EPS, np.inf)  # of an argument that is rounded
        return _rounded(np.where(np.asarray(self.value) > 0, value, 0.0), error, f"log({self.label})")

    def exp(self) -> "Measured":
        with np.errstate(over="ignore", invalid="ignore"):
            value, high = np.exp(self.value), np.exp(self.high)
            error = np.fmax(value * np.expm1(self.error), high - value) + np.finfo(float).smallest_subnormal
        return _rounded(value, np.where(np.isfinite(high), error, np.inf), f"exp({self.label})")

    def sqrt(self) -> "Measured":
        return self**0.5

    def _monotone(self, function: Callable, label: str, power: float | int) -> "Measured":
        """A power: monotone on either side of 0; where the bounds hold 0, the extremes include the value there."""
        with np.errstate(invalid="ignore", divide="ignore"):
            ends = [function(np.float64(end) if np.ndim(end) == 0 else end) for end in (self.low, self.high)]
        inside = (np.asarray(self.low) <= 0) & (np.asarray(self.high) >= 0)
        undefined = inside & (power < 0) | (np.asarray(self.low) < 0) & (power != int(power))  # at 0, or below it
        ends = [np.where(undefined, np.inf, end) for end in ends]
        with np.errstate(invalid="ignore", divide="ignore"):
            value = function(np.asarray(self.value))
            distance = np.maximum(*(np.abs(end - value) for end in ends))
            distance = np.where(inside & (power > 0), np.maximum(distance, np.abs(value)), distance)
            # Ends that are rounded, and the function's own rounding.
            distance += 2 * (1 + abs(power)) * _EPS * np.maximum(np.abs(value), np.maximum(*map(np.abs, ends)))
        return _rounded(value, np.where(np.isnan(distance), np.inf, distance), f"({self.label}){label}")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's functions of measured numbers: `np.exp(m)`, `array * m`, `array < m`."""
        known = _UFUNCS.get(ufunc.__name__)
        if known is None or method != "__call__" or options:
            return NotImplemented
        return known(*map(Measured.of, inputs))

    def __lt__(self, other) -> Condition:
        return _positive(Measured.of(other) - self)

    def __gt__(self, other) -> Condition:
        return _positive(self - other)

    def __le__(self, other) -> Condition:
        return _not_negative(Measured.of(other) - self)

    def __ge__(self, other) -> Condition:
        return _not_negative(self - other)

    __hash__ = None  # pyright: ignore[reportAssignmentType] (no equality either: see `Finding.compare`)


_UFUNCS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
    "negative": operator.neg, "absolute": operator.abs, "less": operator.lt, "less_equal": operator.le,
    "greater": operator.gt, "greater_equal": operator.ge,
    "exp": Measured.exp, "log": Measured.log, "sqrt": Measured.sqrt,
}  # fmt: skip


def _positive(difference: Measured) -> Condition:
    return positive(difference.value, difference.error)


def _not_negative(difference: Measured) -> Condition:
    """On the reals, measured, the same as `_positive`; but exact numbers, such as counts, may be equal."""
    equals = (np.asarray(difference.value) == 0) & (np.asarray(difference.error) == 0)
    return positive(np.where(equals, 1.0, difference.value), difference.error)


def _label(a: Measured, sign: str, b: Measured) -> str:
    left, right = (f"({m.label})" if " " in m.label and sign in "*/" else m.label for m in (a, b))
    return f"{left} {sign} {right}" if left and right else ""


def _rounded(value: Any, error: Any, label: str) -> Measured:
    """With the rounding of one operation of its own, and of the bound's."""
    return Measured(value, error * (1 + 8 * _EPS) + _EPS * np.abs(value), label)


def _sum(a: Any, b: Any, operation: Callable, sign: str) -> Measured:
    a, b = Measured.of(a), Measured.of(b)
    return _rounded(operation(a.value, b.value), a.error + b.error, _label(a, sign, b))


def _product(a: Any, b: Any) -> Measured:
    a, b = Measured.of(a), Measured.of(b)
    error = np.abs(a.value) * b.error + np.abs(b.value) * a.error + a.error * b.error
    return _rounded(a.value * b.value, error, _label(a, "*", b))


def _quotient(a: Any, b: Any) -> Measured:
    a, b = Measured.of(a), Measured.of(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.divide(a.value, b.value)
        error = (a.error + np.abs(value) * b.error) / (np.abs(b.value) - b.error)
    error = np.where(np.abs(b.value) > b.error, error, np.inf)
    return _rounded(np.where(np.isfinite(value), value, 0.0), error, _label(a, "/", b))


def equal(a: Measured, b: Measured, resolution: float) -> Condition:
    """Equal within their error bounds, where these are finer than `resolution` × the larger of the two (× 1 for two
    numbers that are both 0 within them)."""
    apart = a - b
    scale = np.maximum(np.abs(a.value), np.abs(b.value))
    scale = np.where(scale > apart.error, scale, 1.0)
    differ = np.abs(apart.value) > apart.error
    margins = np.where(differ, apart.error - np.abs(apart.value), resolution * scale)
    return Condition(margins, np.where(differ, 0.0, apart.error))
