"""The peers that PyTorch users have, with the loss written out by hand in float64.

It is written from docs/mathematics.md and shares nothing with flowsim, so that it checks the gradient.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torchdiffeq import odeint

from .peer_cases import Case
from .peer_kinds import ATOL, Run

LONGEST = 600.0  # seconds that descent may take; beyond, it is told how long it would have taken


class Loss:
    """(1/n) Σ log(1 + exp(-y F(X))) of a flat vector W, W_V, W_K, W_Q."""

    def __init__(self, case: Case):
        setting, task, model = case.setting, case.problem.samples, case.problem.model(case.problem.parameters)
        m, d = setting.width, setting.vocabulary
        self.shapes = [(setting.neurons, m), (m, d), (m, d), (m, d)]
        self.tokens = torch.from_numpy(np.array(task.tokens)).long()
        self.labels = torch.from_numpy(np.array(task.labels)).double()
        self.a = torch.from_numpy(np.array(model.a)).double()
        self.scale = m**-0.5

    def __call__(self, flat: torch.Tensor) -> torch.Tensor:
        parts = torch.split(flat, [rows * columns for rows, columns in self.shapes])
        W, W_V, W_K, W_Q = (part.view(shape) for part, shape in zip(parts, self.shapes, strict=True))
        scores = self.scale * (W_K.T @ W_Q)  # [key, query], of all pairs of words
        word = (self.a @ W) @ W_V  # G of every word
        keys, queries = self.tokens[:, :, None], self.tokens[:, None, :]
        attention = torch.softmax(scores[keys, queries], dim=1)
        prediction = (attention * word[self.tokens][:, :, None]).sum((1, 2))
        return torch.nn.functional.softplus(-self.labels * prediction).mean()


class Velocity:
    """-∂loss, counting its calls."""

    def __init__(self, case: Case):
        self.loss, self.calls = Loss(case), 0

    def __call__(self, flat: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        with torch.enable_grad():
            leaf = flat.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.loss(leaf), leaf)
        return -gradient


def dopri5(case: Case) -> Run:
    velocity, start = Velocity(case), torch.from_numpy(case.start.copy())
    times = torch.tensor([0.0, case.setting.t1], dtype=torch.float64)

    def solve(rtol):
        velocity.calls = 0
        with torch.no_grad():
            ends = odeint(lambda t, y: velocity(y), start, times, rtol=rtol, atol=ATOL * rtol, method="dopri5")
        return ends[-1], velocity.calls

    return Run(solve, lambda end: end[0].numpy(), lambda _, end: end[1])


def descent(case: Case) -> Run:
    """Gradient descent as the paper did it: full batches, constant learning rate, t1 / rate steps."""
    loss, start = Loss(case), torch.from_numpy(case.start.copy())
    _refuse_years(loss, start, case.setting.t1)

    def solve(rate):
        return _descend(loss, start, rate, round(case.setting.t1 / rate))

    return Run(solve, lambda end: end.numpy(), lambda rate, _: round(case.setting.t1 / rate))


def _descend(loss: Callable, start: torch.Tensor, rate: float, steps: int) -> torch.Tensor:
    parameters = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([parameters], lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(parameters).backward()
        optimizer.step()
    return parameters.detach()


def _refuse_years(loss: Callable, start: torch.Tensor, t1: float, rate: float = 0.01, sample: int = 50) -> None:
    """**Raises:** `RuntimeError` with the time that all steps would take, if that is too long."""
    _descend(loss, start, rate, 5)
    before = time.perf_counter()
    _descend(loss, start, rate, sample)
    each = (time.perf_counter() - before) / sample
    if each * t1 / rate > LONGEST:
        raise RuntimeError(f"not run: {t1 / rate:.0e} steps at {1e3 * each:.2g} ms would take {each * t1 / rate:.1e} s")
