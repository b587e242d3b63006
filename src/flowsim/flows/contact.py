"""Which mode a flow goes on in where it meets a kink: on the host, once for each event.

The answer is that of the smooth flows with slightly rounded kinks (softplus for ReLU). Close to kinks that are met, and
faster than everything else, the distances y = β z obey

    dy_i/dτ = ż_i(λ), λ_i = 1/(1 + exp(-y_i))

where ż(λ) are the rates of z with the gates λ. A y_i that grows without bound goes over to that side; one that comes to
rest is slid along, with the gate λ_i. Mostly one kink is met and one answer only is consistent: the kink is passed, or
it is slid along. Else the fast equation is integrated.

Reference: Filippov (1988), section 4; Utkin (1992), Sliding modes in control and optimization, on equivalent control.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
import scipy.linalg
import scipy.sparse.csgraph
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int
from scipy.special import expit, logit

from .. import _tree
from .._jit import fast_compile
from ..problem import Problem
from .modes import SLIDING, TIED, WATCHED, InMode, ending, force, kinks, multipliers, rates, rows, shares

_NEAR = 1e-9  # of the largest |z|: kinks this close may be met at the same instant
_SAME = 1e4  # roundings within which they are
_SLACK = 256.0  # roundings that a kink which was just met has to move by, to be met again
_COUPLED = 1e-12  # cosine between two kinks' gradients below which they do not know of each other
_FAR = 40.0  # y at which a gate is 0 or 1 to rounding
_REST = 1e-7  # rates, over the largest, and gates beside 0 and 1, that count as none
_CLOSING = 1e-3  # gates beside 0 that may be on their way there
_INDEPENDENT = 1e-7  # of a gradient that is left beside those of the others
_LATER = (1.0, 30.0, 1e3, 3e4, 1e6)  # spans of the fast time, over its unit


class _Seen(NamedTuple):
    """The kinks where a mode ends.

    **Fields:** `z`; `gates`: λ where it is slid along; `rates`: of z in this mode; `ends`: the kink that ends it.
    """

    z: Float[Array, "kinks"]
    gates: Float[Array, "kinks"]
    rates: Float[Array, "kinks"]
    ends: Int[Array, ""]


@fast_compile
def _look(problem: Problem, t: Array, state: InMode, places: int) -> _Seen:
    z, push = jax.linearize(lambda p: kinks(problem, p, state.gates), state.parameters)
    mu, c = shares(problem, state, places)
    sliding = state.slid
    gates = jnp.where(sliding, mu / jnp.where(c == 0, 1.0, c), state.gates)
    velocity = multipliers(
        problem, state.parameters, state.gates, sliding, force(problem, state.parameters, state.gates)
    )
    return _Seen(z, gates, push(velocity[1]), ending(problem, t, state, places))


_rates, _rows = fast_compile(rates), fast_compile(rows)


def settled(problem: Problem, state: InMode, places: int) -> InMode:
    """The state at the start, with a side or a slide for each kink that it lies on."""
    seen = _tree.on_host(_look(problem, jnp.zeros(()), state, places))
    if seen.z.size == 0 or np.min(np.abs(seen.z)) > _NEAR * np.max(np.abs(seen.z)):
        return state
    return _Meeting(problem, 0.0, state, seen, fired=None).resolved()


def next_mode(problem: Problem, t: Any, state: InMode, places: int) -> InMode:
    """The state in the mode after the one that ends here."""
    seen = _tree.on_host(_look(problem, jnp.asarray(t), state, places))
    return _Meeting(problem, float(t), state, seen, int(seen.ends)).resolved()


class _Meeting:
    """The kinks met at one instant, in groups that know of each other.

    **Arguments:** `fired`: the kink whose margin came to 0; None at the start, where every kink of z = 0 is met.
    """

    def __init__(self, problem: Problem, t: float, state: InMode, seen: _Seen, fired: int | None):
        self._problem, self._state, self._fired = problem, state, fired
        self._eps = float(jnp.finfo(state.gates.dtype).eps)
        self.z, self.incoming = (np.asarray(x, float) for x in (seen.z, seen.rates))
        self.before = np.clip(np.asarray(seen.gates, float), 0.0, 1.0)
        self.gates, self.roles = self.before.copy(), np.array(state.roles, float)
        self.slack = np.array(state.slack, float)
        self.undecided = 0
        near = np.abs(self.z) <= _NEAR * np.max(np.abs(self.z))
        met = np.flatnonzero(near | (self.roles != WATCHED) | (np.arange(self.z.size) == fired))
        middle = self.before.copy()
        middle[met] = 0.5  # with these gates a later layer's kinks know of an earlier one's
        self._flat, self._unravel = ravel_pytree(state.parameters)
        gradients = self._gradients(met, middle)
        self._rounding = self._eps * (
            np.abs(gradients) @ np.abs(np.asarray(self._flat)) + t * np.abs(self.incoming[met])
        )
        same = (np.abs(self.z[met]) <= _SAME * self._rounding) | (self.roles[met] != WATCHED) | (met == fired)
        self.met, self._gradient, self._rounding = met[same], gradients[same], self._rounding[same]

    def _gradients(self, which: np.ndarray, gates: np.ndarray) -> np.ndarray:
        """∂z of some kinks, one row each."""
        size = 1 << max(len(which) - 1, 0).bit_length()
        padded = np.full(size, self.z.size)
        padded[: len(which)] = which
        found = _rows(self._problem, self._state.parameters, self._given(gates), jnp.asarray(padded))
        return np.asarray(found, float)[: len(which)]

    def _given(self, gates: np.ndarray) -> Array:
        return jnp.asarray(gates, self._state.gates.dtype)

    def _groups(self) -> list[np.ndarray]:
        """Positions in `met` of the kinks to be decided, in groups that are coupled."""
        sizes = np.linalg.norm(self._gradient, axis=1)
        cosines = np.abs(self._gradient @ self._gradient.T) > _COUPLED * np.outer(sizes, sizes)
        np.fill_diagonal(cosines, True)
        number, labels = scipy.sparse.csgraph.connected_components(cosines, directed=False)
        groups = [np.flatnonzero(labels == i) for i in range(number)]
        return groups if self._fired is None else [g for g in groups if self._fired in self.met[g]]

    def resolved(self) -> InMode:
        """The state in the new mode, on the kinks that it slides along."""
        for group in self._groups():
            self._decide(self.met[group])
        flipped = np.sum((self.roles == WATCHED) & (np.asarray(self._state.roles) == WATCHED)
                         & (np.abs(self.gates - self.before) > 0.5))  # fmt: skip
        begun = np.sum((self.roles == SLIDING) & (np.asarray(self._state.roles) != SLIDING))
        watched = self.roles[self.met] == WATCHED
        self.slack[self.met[watched]] = (_SLACK * self._rounding + 2 * np.abs(self.z[self.met]))[watched]
        old = self._state
        counts = (old.crossed + flipped * (self._fired is not None), old.slides + begun, old.undecided + self.undecided)
        gates = np.where(self.roles == SLIDING, 0.0, self.gates)
        dtype = old.gates.dtype
        return InMode(
            self._projected(gates), *(jnp.asarray(x, dtype) for x in (gates, self.roles, self.slack, *counts))
        )

    def _projected(self, gates: np.ndarray) -> Any:
        """The parameters with z = 0 where it is slid along: they were off by what the integration left."""
        on = np.flatnonzero(self.roles == SLIDING)
        if not len(on):
            return self._state.parameters
        gradients = self._gradients(on, gates)
        change = np.linalg.lstsq(gradients, self.z[on], rcond=_INDEPENDENT)[0]
        return self._unravel(self._flat - jnp.asarray(change, self._flat.dtype))

    def _rate(self, group: np.ndarray, values: np.ndarray) -> np.ndarray:
        """dz/dt of a group's kinks with these gates."""
        gates = self.gates.copy()
        gates[group] = values
        found = _rates(self._problem, self._state.parameters, self._given(gates))
        return np.asarray(found, float)[group]

    def _decide(self, group: np.ndarray) -> None:
        answer = self._simple(group)
        if answer is None:
            answer = self._fast(group)
        gates, free = answer
        self.gates[group] = gates
        self.roles[group] = WATCHED
        self.roles[group[free]] = TIED
        # More kinks that stay than there are directions to leave them in, as where a neuron's weights vanish: their
        # gates are not unique, nor is when they are left. Gates that close slowly, as its kinks stop, count as closed.
        still = np.flatnonzero(self._rate(group, np.where(gates < _CLOSING, 0.0, gates)) == 0)
        staying = np.union1d(free, still).astype(int)
        self.undecided += len(staying) > len(self._independent(group[staying]))
        self.roles[group[free][self._independent(group[free])]] = SLIDING

    def _independent(self, which: np.ndarray) -> np.ndarray:
        """Positions of kinks whose gradients are independent, as many as there are."""
        if not len(which):
            return np.zeros(0, int)
        _, upper, order = scipy.linalg.qr(self._gradients(which, self.gates).T, mode="economic", pivoting=True)
        sizes = np.abs(np.diag(upper))
        return order[: int(np.sum(sizes > _INDEPENDENT * sizes[0]))] if sizes[0] > 0 else order[:0]

    def _simple(self, group: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """One kink is met while others may be slid along: it is passed, slid along, or left. None if none of it, or
        more than one of it, is consistent."""
        here = np.flatnonzero(group == self._fired) if self._fired is not None else []
        others = np.array([i for i in range(len(group)) if group[i] != self._fired], int)
        if len(here) != 1 or np.any(self.roles[group[others]] != SLIDING):
            return None
        (one,) = here
        leaves = self.roles[group[one]] == SLIDING
        side = np.round(self.before[group[one]]) if leaves else 1.0 - self.before[group[one]]
        found = []
        for free, value in ((others, side), (np.sort(np.append(others, one)), np.nan)):
            if leaves and np.isnan(value):
                continue
            start = self.before[group].copy()
            start[one] = 0.5 if np.isnan(value) else value
            gates = self._balanced(group, start, free)
            if gates is None:
                continue
            rate = self._rate(group, gates)[one] * (2 * value - 1)
            if np.isnan(value) or leaves or rate > 0:
                found.append((gates, free))
        return found[0] if len(found) == 1 else None

    def _balanced(self, group: np.ndarray, start: np.ndarray, free: Sequence[int] | np.ndarray) -> np.ndarray | None:
        """Gates of a group with which the `free` kinks rest, 0 < λ < 1; the others as at the start. None if there are
        none, or if they would not stay: each kink's own gate has to push back."""
        gates = start.copy()
        free = np.asarray(free, int)
        if not len(free):
            return gates
        for _ in range(4):
            here = self._rate(group, gates)[free]
            slopes = np.empty((len(free), len(free)))
            for column, i in enumerate(free):
                moved = gates.copy()
                moved[i] = gates[i] - 0.5 if gates[i] > 0.5 else gates[i] + 0.5  # the rates are linear in each gate
                slopes[:, column] = (self._rate(group, moved)[free] - here) / (moved[i] - gates[i])
            if np.any(np.diag(slopes) >= 0) or np.linalg.matrix_rank(slopes) < len(free):
                return None
            change = -np.linalg.solve(slopes, here)
            gates[free] += change
            if np.max(np.abs(change)) < 1e-9:
                break
        inside = (gates[free] > 0) & (gates[free] < 1)
        return gates if np.all(inside) else None

    def _fast(self, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The side or the gate that each kink of a group comes to in the fast equation."""
        y, speed = self._arrival(group)
        gates = expit(y)
        if speed == 0:  # the group does not move, whatever its gates
            return gates, np.flatnonzero((gates > _REST) & (gates < 1 - _REST))
        tolerances: Any = {"rtol": 1e-8, "atol": 1e-8}
        for span in _LATER:
            end = span * (10 * _FAR + np.max(np.abs(y))) / speed
            run = scipy.integrate.solve_ivp(
                lambda _, y: self._rate(group, expit(y)), (0.0, end), y, method="LSODA", **tolerances
            )
            y = run.y[:, -1]
            gates, rate = expit(y), self._rate(group, expit(y))
            off, on, little = gates <= _REST, gates >= 1 - _REST, _REST * speed
            if np.all((off & (rate <= little)) | (on & (rate >= -little)) | (np.abs(rate) <= little)):
                return np.where(off, 0.0, np.where(on, 1.0, gates)), np.flatnonzero(~(off | on))
        self.undecided += 1
        return np.round(gates), np.zeros(0, int)

    def _arrival(self, group: np.ndarray) -> tuple[np.ndarray, float]:
        """Where the fast equation begins, far out on the way that the kinks came, and the largest rate there is."""
        before, came = self.before[group], self.incoming[group]
        ends = [np.zeros(len(group)), np.ones(len(group)), before]
        speed = float(np.max(np.abs([self._rate(group, gates) for gates in ends])))
        if self._fired is None:
            return np.zeros(len(group)), speed
        watched, side = self.roles[group] == WATCHED, 2 * before - 1
        y = np.where(watched, side * _FAR, logit(np.clip(before, 1e-12, 1 - 1e-12)))
        comes = watched & (came * side < -_REST * speed)  # not one that is at rest to rounding
        if np.any(comes):
            y = np.where(comes, -came * _FAR / np.min(np.abs(came[comes])), y)
        # y is β z: where the kinks are more than the directions in which they move, not every y can be.
        gradient = self._gradient[np.searchsorted(self.met, group)]
        if np.linalg.matrix_rank(gradient) < len(group):
            y = gradient @ np.linalg.lstsq(gradient, y, rcond=_INDEPENDENT)[0]
        return y, speed
