"""The small version of `benchmarks/peers.py`: the same race on a problem of a few hundred parameters."""

import dataclasses
import importlib.util
import json

import jax
import numpy as np
import pytest
from benchmarks import peer_kinds, peers
from benchmarks.peer_cases import Case, Setting

LONG_FIXTURES = ("entries",)  # what uses them is slow

# Diffrax's Dopri5 and Dopri8 differ from its Tsit5 by a table of coefficients, and compile as long.
NAMES = ("Diffrax Tsit5", "jax.experimental.ode.odeint", "SciPy DOP853", "SciPy RK45", "torchdiffeq", "PyTorch")
BAR = 1e-7
TORCH = all(importlib.util.find_spec(name) for name in ("torch", "torchdiffeq"))


@pytest.fixture(scope="module")
def case():
    setting = Setting("tiny", 0.5, 12, 4, 8, width=6, neurons=5, bar=0.6)
    return Case(setting, setting.problem())


@pytest.fixture(scope="module")
def entries(case):
    def broken(case):
        raise RuntimeError("does not start\nfor a long reason")

    field = [c for c in peer_kinds.PEERS if c.name.startswith(NAMES)]
    assert len(field) == len(NAMES)
    field = [dataclasses.replace(c, tolerances=c.tolerances or (1e-9,)) for c in (peer_kinds.FLOWSIM, *field)]
    field += [peer_kinds.Method("broken", broken), peer_kinds.Method("absent", broken, ("no_such_package",))]
    found = [peers.attempt(method, case, BAR) for method in field]
    peers.race(found, repeats=2)
    return {entry.name: entry for entry in found}


def test_the_two_references_agree(case):
    assert case.doubt < 1e-10


def test_every_solver_reaches_the_bar_and_descent_does_not(entries):
    for name, entry in entries.items():
        if name in ("broken", "absent") or (not TORCH and name.startswith(("torchdiffeq", "PyTorch"))):
            continue
        assert entry.evaluations > 0, entry
        if name.startswith("PyTorch"):
            assert entry.evaluations == 50  # 0.5 / 0.01
            assert BAR < entry.error < 0.1
            assert len(entry.seconds) == 1
            assert "does not reach" in entry.reason
        else:
            assert entry.error <= BAR, entry
            assert entry.tolerance == 1e-9
            assert len(entry.seconds) == 2
            assert entry.races


def test_nothing_is_dropped(entries, case, tmp_path):
    text = peers.report(case, list(entries.values()))
    for name in entries:
        assert name in text
    assert entries["broken"].reason == "RuntimeError: does not start"
    assert "no_such_package not installed" in text
    assert "flowsim / best peer" in text
    rows = peers.records("tiny", list(entries.values()))
    assert {row["method"] for row in rows} == set(entries)
    peers.write(tmp_path / "rows.json", rows)
    assert json.loads((tmp_path / "rows.json").read_text()) == rows
    peers.write(tmp_path / "rows.csv", rows)
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 1 + len(rows)


def test_ratio_is_to_the_fastest_that_reaches_the_bar():
    entries = [
        peers.Entry("flowsim", seconds=[1.0, 3.0, 2.0]),
        peers.Entry("slow", seconds=[8.0]),
        peers.Entry("fast", seconds=[5.0, 4.0, 4.0]),
        peers.Entry("inexact", seconds=[0.1], reason="does not reach"),
        peers.Entry("failed", reason="RuntimeError"),
    ]
    assert peers.ratio(entries) == (0.5, "fast")
    assert peers.ratio([entries[0], entries[3]]) is None


def test_the_loosest_tolerance_that_reaches_the_bar_is_taken(case):
    across = np.zeros_like(case.start)
    across[0] = np.linalg.norm(case.reference - case.start)
    asked = []

    def solve(rtol):
        asked.append(rtol)
        return case.reference + 3 * rtol * across  # error 3 rtol

    run = peer_kinds.Run(solve, lambda end: end, lambda rtol, end: 7)
    entry = peers.attempt(peer_kinds.Method("exact", lambda _: run), case, BAR)
    assert entry.tolerance == pytest.approx(10**-7.5)  # the next one, 1e-7, gives 3e-7
    assert entry.error == pytest.approx(3 * 10**-7.5)
    assert entry.evaluations == 7
    assert len(asked) <= 5  # of 15


@pytest.mark.skipif(not TORCH, reason="torch and torchdiffeq are not installed (dependency group `peers`)")
def test_the_gradient_is_the_one_written_by_hand_in_torch(case):
    import torch
    from benchmarks.peer_torch import Velocity

    point = case.start + 0.3 * np.asarray(jax.random.normal(jax.random.key(5), case.start.shape))
    by_hand = Velocity(case)(torch.from_numpy(point)).numpy()
    np.testing.assert_allclose(np.asarray(case.velocity(point)), by_hand, rtol=0, atol=1e-14)
