"""The closed form of a neuron before the loss moves (Boursier, Flammarion 2025; Min, Mallada, Vidal 2024)."""

import numpy as np


class Neuron:
    """The exact path of a small balanced neuron: w' = a D, a' = wᵀD, D = Σ g_k x_k over the samples with wᵀx_k > 0.

    Between kinks D is constant, and (u ± a) e^(∓‖D‖t) with u = wᵀD/‖D‖ and the rest of w are too.
    """

    def __init__(self, w, a, x, g):
        self.pieces, self.kinks = [], []  # kinks: time, sample, and the time in which the cosine with it changes by 1
        time, active = 0.0, x @ w > 0
        while True:
            D = (g * active) @ x
            self.pieces.append((time, w, a, D))
            after, sample = _next_kink(w, a, D, x)
            if not np.isfinite(after):
                self.rate = float(np.linalg.norm(D))
                return
            time, (w, a) = time + after, _moved(w, a, D, after)
            active[sample] = not active[sample]
            self.kinks.append((time, sample, 1 / abs(D @ x[sample])))

    @property
    def limit(self):
        """The extremal vector that it turns to; 0 for a neuron that dies."""
        _, _, a, D = self.pieces[-1]
        return np.sign(a) * D / self.rate if self.rate else 0 * D

    def at(self, times):
        """w: (times, inputs)."""
        starts = np.array([piece[0] for piece in self.pieces])
        found = []
        for t in times:
            start, w, a, D = self.pieces[int(np.searchsorted(starts, t, side="right")) - 1]
            found.append(_moved(w, a, D, t - start)[0])
        return np.stack(found)


def _moved(w, a, D, t):
    rate = np.linalg.norm(D)
    if not rate:
        return w, a
    u = w @ D / rate
    grows, shrinks = (u + a) / 2 * np.exp(rate * t), (u - a) / 2 * np.exp(-rate * t)
    return w + (grows + shrinks - u) * D / rate, grows - shrinks


def _next_kink(w, a, D, x):
    """When a pre-activation first vanishes after 0, and of which sample; inf without one."""
    rate = np.linalg.norm(D)
    if not rate:
        return np.inf, -1
    u, first = w @ D / rate, (np.inf, -1)
    for k, slope in enumerate(x @ D / rate):
        roots = np.roots([slope * (u + a) / 2, w @ x[k] - u * slope, slope * (u - a) / 2])
        later = roots.real[(np.abs(roots.imag) < 1e-12) & (roots.real > 1 + 1e-9)]
        if len(later):
            first = min(first, (float(np.log(np.min(later)) / rate), k))
    return first
