"""Finding every sign change inside one step, on the host, from polynomials that are made once on the step.

The event's parts are sampled at 9, 17, 33, 65 Chebyshev points (each set holds the one before) until a sign change is
excluded or the interpolant is resolved: until its last coefficients are below what is seen or below the parts' own
rounding. What 65 points do not resolve is halved. A root of the polynomial is a *guess*; its time is solved for on the
flow itself.

A part that jumps (an accuracy, a sign, a floor) is never resolved: its jumps are cut out by sections. A sign counts
where the value is beyond its noise, so a function that touches 0 has no crossing however it is rounded.

Reference: Trefethen (2013), Approximation Theory and Approximation Practice, chapters 3, 8 and 18; the bound between
grid points is Ehlich's and Zeller's (1964).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from scipy.optimize import brentq, minimize_scalar

from .exclude import nodes, vandermonde

LEVELS = (9, 17, 33, 65)
MAX_POINTS = 64  # points that one call of a sample may ask for
_DEEPEST = 10  # halvings of a step that the search for resolution may take
_BUDGET = 96  # calls of the sample that one event may take in one step
_PER_INTERVAL = 32  # grid points between two Chebyshev points, in the mean
_NOISY = 8  # sign changes of a step in what is not resolved, beyond which they are noise
_NOISY_DEPTH = 4  # halvings after which a sign that still changes all the time is noise
_POLE = 1e3  # growth towards a sign change that makes it a pole
_CLOSE = 1e-8  # of a part's size: a turning point that comes so close to 0 is looked at by itself
_HAIR = 1e-3  # of a step: how far beyond its end a value that is 0 there is followed

Sample = Callable[[float, float, np.ndarray], np.ndarray]


class Candidate(NamedTuple):
    """A sign change, in fractions of the step.

    **Fields:** `low`, `high`: before and after it; `guess`, `slope`: the polynomial's root, and its derivative there;
    `direction`: ±1; `smooth`: False where the event jumps, so that `slope` means nothing.
    """

    low: float
    high: float
    guess: float
    slope: float
    direction: int
    smooth: bool = True


class Found(NamedTuple):
    """What a step holds: its sign changes in order of time, the sign that it ends with, and was all of it resolved?"""

    candidates: list[Candidate]
    sign: int
    resolved: bool


@functools.cache
def _coefficients(count: int) -> np.ndarray:
    return np.linalg.inv(vandermonde(nodes(count), count))


@functools.cache
def _grid(count: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.linspace(0, 1, _PER_INTERVAL * (count - 1) + 1)
    return points, vandermonde(points, count)


@functools.cache
def _chebyshev_grid(count: int) -> np.ndarray:
    return vandermonde(nodes(8 * (count - 1) + 1), count)


_BETWEEN = 1 / np.cos(np.pi / 16) - 1  # a polynomial's largest value over that at eight times its degree many points


class _Fit:
    """The parts of an event on a piece [low, high] of a step, as polynomials."""

    def __init__(self, low: float, high: float, values: np.ndarray, floor: np.ndarray):
        self.low, self.high, self.values, self.floor = low, high, values, floor
        self.coefficients = _coefficients(len(values)) @ values
        self._size = np.abs(self.coefficients)
        self.scale = np.max(self._size, axis=0)

    @property
    def resolved(self) -> bool:
        return bool(np.all(np.max(self._size[-4:], axis=0) <= np.maximum(1e-9 * self.scale, self.floor)))

    def keeps(self, sign: int) -> bool:
        """Is a sign other than this one excluded?"""
        if sign == 0:
            return False
        count = len(self.values)
        path = _chebyshev_grid(count) @ self.coefficients
        remainder = 2 * np.sum(self._size[-(count // 4) - 2 :], axis=0)
        margin = remainder + _BETWEEN * np.sum(self._size[1:], axis=0)
        return bool(np.min(path - margin) > 0) if sign > 0 else bool(np.max(np.min(path + margin, axis=1)) < 0)

    def value(self, x) -> Any:
        """The smallest part at points of [0, 1]."""
        return np.min(chebyshev.chebval(2 * np.asarray(x) - 1, self.coefficients), axis=0)

    def slope(self, x: float) -> float:
        """Its derivative there, by the step's fraction."""
        part = int(np.argmin(chebyshev.chebval(2 * x - 1, self.coefficients)))
        derivative = chebyshev.chebval(2 * x - 1, chebyshev.chebder(self.coefficients[:, part]))
        return float(2 * derivative / (self.high - self.low))

    def path(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A grid of [0, 1], the smallest part on it, and what has to be exceeded for a sign: rounding, and between the
        ends what the polynomial leaves out, which is much where the values span many orders of magnitude."""
        grid, matrix = _grid(len(self.values))
        parts = matrix @ self.coefficients
        parts[0], parts[-1] = self.values[0], self.values[-1]  # the ends are known exactly
        smallest = np.argmin(parts, axis=1)
        level = np.maximum(self.floor, 2 * np.sum(self._size[-4:], axis=0))[smallest]
        level[[0, -1]] = self.floor[smallest[[0, -1]]]
        return grid, np.min(parts, axis=1), level

    def dips(self, grid: np.ndarray, path: np.ndarray) -> list[tuple[float, float]]:
        """Turning points that head for 0 and may come to it between grid points: (x, value)."""
        size, spacing = np.abs(path), 2 * (grid[1] - grid[0])
        k = np.arange(len(self._size))[:, None]
        curvature = np.max(np.sum(self._size * k**2 * (k**2 - 1) / 3, axis=0))
        reach = np.full(path.shape, spacing**2 / 2 * curvature)
        if self._size.shape[1] > 1:  # a smallest part has kinks, which point upwards
            reach[path < 0] += spacing * np.max(np.sum(self._size * k**2, axis=0))
        middle, left, right = size[1:-1], size[:-2], size[2:]
        turns = (middle <= left) & (middle <= right) & ((middle < left) | (middle < right))
        side = np.sign(path[:-2])
        turns &= (side != 0) & (side == np.sign(path[2:]))
        found = []
        for i in np.flatnonzero(turns & (middle <= reach[1:-1])) + 1:
            s = side[i - 1]
            best: Any = minimize_scalar(lambda x, s=s: s * self.value(x), bounds=(grid[i - 1], grid[i + 1]),
                                        method="bounded", options={"xatol": 1e-12})  # fmt: skip
            found.append((float(best.x), float(s * best.fun)))
        return found


def search(sample: Sample, noise: np.ndarray, eps: float, sign: int, *, at_end: bool = False) -> Found:
    """Every sign change of the smallest part in one step.

    **Arguments:** `sample`: `(low, high, points) -> (points, parts)`, the parts at those fractions of that piece of the
    step. `noise`: of each part, what the rounding of the state alone makes of it. `eps`: unit of rounding. `sign`:
    before the step; 0 if the event has been exactly 0 since the start. `at_end`: the run ends with this step, so that a
    value that arrives at 0 just then has crossed it.
    """
    found = _Search(sample, noise, eps, sign)
    found.piece(0.0, 1.0)
    if at_end:
        found.end()
    return Found(found.candidates, found.sign, found.resolved)


class _Search:
    def __init__(self, sample: Sample, noise: np.ndarray, eps: float, sign: int):
        self._sample, self._noise, self._eps = sample, noise, eps
        self.sign, self.candidates, self.resolved = sign, [], True
        self._calls, self._jumped, self._noisy = 0, 0, False
        self._last: _Fit | None = None

    def _see(self, low: float, high: float, points: np.ndarray) -> np.ndarray:
        self._calls += 1
        return self._sample(low, high, points)

    def piece(self, low: float, high: float, depth: int = 0, zoom: int = 0) -> None:
        """Look at a piece of the step, at its start with the sign `self.sign`."""
        if self._noisy:
            return None
        values = self._see(low, high, nodes(LEVELS[0]))
        for count in LEVELS:
            if count > len(values):
                finer = np.empty((count, values.shape[1]))
                finer[::2], finer[1::2] = values, self._see(low, high, nodes(count)[1::2])
                values = finer
            if not np.all(np.isfinite(values)):
                break
            floor = self._noise + 8 * self._eps * np.max(np.abs(values), axis=0)
            self._last = fit = _Fit(low, high, values, floor)
            if fit.keeps(self.sign):
                return None
            if fit.resolved:
                return self._follow(fit, zoom)
        self._noisy |= depth >= _NOISY_DEPTH and _changes_of_sign(values) > MAX_POINTS // 4
        if self._noisy or depth == _DEEPEST or self._calls > _BUDGET or _is_stepped(values):
            return self._jumps(low, high, values)
        middle = (low + high) / 2
        self.piece(low, middle, depth + 1, zoom)
        return self.piece(middle, high, depth + 1, zoom)

    def _follow(self, fit: _Fit, zoom: int) -> None:
        """The sign changes of a resolved piece."""
        grid, path, floor = fit.path()
        dips, width = fit.dips(grid, path), fit.high - fit.low
        close = [x for x, v in dips if abs(v) <= _CLOSE * np.max(fit.scale)]
        if close and zoom < 2 and self._calls <= _BUDGET:
            # So close to 0 that this polynomial's rounding decides: its surroundings have a smaller rounding.
            edges, reach = [0.0], 2 * (grid[1] - grid[0])
            for x in close:
                edges += [max(x - reach, edges[-1]), min(x + reach, 1.0)]
            for a, b in zip(edges, [*edges[1:], 1.0], strict=True):
                if b > a:
                    self.piece(fit.low + a * width, fit.low + b * width, _DEEPEST, zoom + 1)
            return
        if dips:
            x, v = np.array(dips).T
            order = np.argsort(np.concatenate([grid, x]), kind="stable")
            grid, path = np.concatenate([grid, x])[order], np.concatenate([path, v])[order]
            floor = np.concatenate([floor, np.full(len(x), np.max(fit.floor))])[order]
        for a, b, direction in self._changes(grid, path, floor, fit.low, fit.high, np.min(fit.values[1])):
            guess = a
            if fit.value(a) * direction < 0 < fit.value(b) * direction:
                guess = brentq(fit.value, a, b, xtol=1e-15)
            self._add(*(fit.low + x * width for x in (a, b, guess)), fit.slope(guess), direction)

    def _add(self, low, high, guess, slope, direction, *, smooth=True):
        self.candidates.append(Candidate(float(low), float(high), float(guess), float(slope), direction, smooth))

    def _changes(self, grid, path, floor, low: float, high: float, second: float) -> list[tuple[float, float, int]]:
        """(last place with the old sign, first with the new one, direction) along the path of a piece [low, high];
        `self.sign` follows. `second`: the event at the first place after the piece's start where it was computed; NaN
        where it is not known everywhere on the piece, so that no sign before is 0 for sure."""
        found, last = [], 0
        decided = np.flatnonzero(np.abs(path) > floor)
        signs = np.sign(path[decided]).astype(int)
        for i, s in zip(decided, signs, strict=True):
            if s != self.sign:
                if self.sign == 0 and low == 0.0 and np.isfinite(second) and second != 0:
                    # Exactly 0 before the step, it leaves 0 at its start.
                    self._add(0.0, 0.0, 0.0, 0.0, int(s))
                elif self.sign == 0 and np.isfinite(second):  # exactly 0 for a part of the step
                    a, b = (low + x * (high - low) for x in (grid[max(i - 1, 0)], grid[i]))
                    self._add(a, b, b, 0.0, int(s), smooth=False)
                else:
                    found.append((float(grid[last]), float(grid[i]), int(s)))
                self.sign = int(s)
            last = i
        return found

    def _jumps(self, low: float, high: float, values: np.ndarray) -> None:
        """The sign changes of a piece that is not resolved: between its samples, each cut out by sections."""
        self.resolved = False
        seen, points = np.min(values, axis=1), nodes(len(values))
        path = np.where(np.isfinite(seen), seen, 0.0)
        floor = 8 * self._eps * np.max(np.abs(path))
        changes = self._changes(points, path, floor, low, high, seen[1] if np.all(np.isfinite(seen)) else np.nan)
        self._jumped += len(changes)
        self._noisy |= self._jumped > _NOISY
        if self._noisy:  # the candidates mean nothing
            self.candidates = [candidate for candidate in self.candidates if candidate.smooth]
            return
        for a, b, direction in changes:
            a, b = low + a * (high - low), low + b * (high - low)
            inner, growth = self._sections(a, b, direction, floor)
            if growth < _POLE:
                self._add(*inner, inner[1], 0.0, direction, smooth=False)

    def _sections(self, a: float, b: float, direction: int, floor: float) -> tuple[tuple[float, float], float]:
        """The jump to the new sign as narrowly as numbers allow, and how the values grew on both sides of it."""
        points = np.linspace(0, 1, MAX_POINTS)
        sizes = []
        while b - a > 4 * self._eps:
            path = np.min(self._see(a, b, points), axis=1)
            sizes.append((abs(path[0]), abs(path[-1])))
            new = np.flatnonzero(path * direction > floor)
            new = new[new > 0]
            first = int(new[0]) if len(new) else MAX_POINTS - 1
            a, b = a + (b - a) * points[first - 1], a + (b - a) * points[first]
        growth = np.min(np.array(sizes[-1]) / np.maximum(sizes[0], np.finfo(float).tiny)) if sizes else 0.0
        return (a, b), float(growth)

    def end(self) -> None:
        """A value that arrives at 0 at the run's end, and would go on through it, crosses there."""
        fit = self._last
        if fit is None or self.sign == 0 or not fit.resolved or fit.high != 1.0:
            return
        floor = np.max(fit.floor)
        beyond = fit.value(1 + _HAIR)
        if abs(np.min(fit.values[-1])) <= floor and -self.sign * beyond > floor:
            self.sign = -self.sign
            self._add(1.0, 1.0, 1.0, fit.slope(1.0), self.sign)


def _changes_of_sign(values: np.ndarray) -> int:
    signs = np.sign(np.min(values, axis=1))
    return int(np.sum(signs[1:] * signs[:-1] < 0))


def _is_stepped(values: np.ndarray) -> bool:
    """Is the smallest part the same at most neighboring points, and elsewhere another?"""
    path = np.min(values, axis=1)
    same = path[1:] == path[:-1]
    return bool(np.mean(same) > 0.5)
