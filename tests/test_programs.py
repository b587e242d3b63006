"""Problem after problem of new shapes: what compiled programs hold of the process stays within a bound."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

import flowsim
from flowsim import _programs

pytestmark = pytest.mark.skipif(_programs.maps() is None, reason="only Linux tells a process's maps")


def solve(size):
    problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**2), jnp.ones(size))
    result = flowsim.simulate(problem, t1=0.1, solver="tsit5", rtol=1e-3, reduction="none")
    assert result.status.ok


@pytest.mark.slow
def test_programs_are_dropped_at_the_bound_and_made_again(monkeypatch):
    solve(3)
    before = _programs.maps()
    monkeypatch.setattr(_programs, "MAPS", before + 100)
    monkeypatch.setattr(_programs, "_CHECK", 1)
    solve(4)  # beyond the bound
    assert _programs.maps() > before + 100
    grown = _programs.maps()
    solve(3)  # dropped, and compiled again
    assert _programs.maps() < grown
    assert not _programs.make_room(), "nothing is dropped below the bound"


def test_nothing_is_dropped_while_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(_programs, "MAPS", 0)
    monkeypatch.setattr(_programs, "_counted", _programs._compiled)
    monkeypatch.setattr(jax, "clear_caches", lambda: pytest.fail("dropped"))
    assert not _programs.make_room()


def test_the_bound_is_well_below_what_the_system_allows(tmp_path, monkeypatch):
    allowed = tmp_path / "max_map_count"
    monkeypatch.setattr(_programs, "_ALLOWED", allowed)
    for text, bound in (("65530\n", _programs.MAPS), ("4000\n", 2000), ("?", _programs.MAPS)):
        allowed.write_text(text)
        assert _programs.limit() == bound


def test_a_fork_after_something_was_computed_is_refused(monkeypatch):
    """Any computation in it would wait for ever for threads that a fork does not copy."""
    solve(2)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    for call in (lambda: flowsim.Problem.from_loss(jnp.sum, jnp.ones(2)), lambda: solve(2)):
        with pytest.raises(RuntimeError, match=r"forked from one that has computed.*get_context\('spawn'\)"):
            call()
    monkeypatch.setattr(_programs, "_process", None)  # as in a process that computes first after the fork
    flowsim.Problem.from_loss(jnp.sum, jnp.ones(2))


FORKED = """
import multiprocessing, warnings, jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", True)
warnings.simplefilter("ignore")
import flowsim
problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**2), jnp.ones(2))
def solve(t1):
    flowsim.simulate(problem, t1=t1, solver="tsit5", rtol=1e-3, reduction="none")
def child(pipe):
    try:
        solve(0.2)
    except RuntimeError as error:
        pipe.send(str(error))
solve(0.1)
here, there = multiprocessing.Pipe()
process = multiprocessing.get_context("fork").Process(target=child, args=(there,))
process.start()
print(here.recv() if here.poll(60) else "it hangs", flush=True)
process.kill()
"""


@pytest.mark.slow
def test_a_forked_worker_says_so_at_once():
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True)
    assert "spawn" in done.stdout


MANY = """
import resource, jax
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", True)
from flowsim import _programs
from tests.test_programs import solve
most = 0
for size in range(2, 502):
    solve(size)
    most = max(most, _programs.maps())
print(most, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


@pytest.mark.slow
def test_500_problems_of_new_shapes_stay_within_the_bound():
    done = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, check=True)
    most, gigabytes = map(float, done.stdout.split())
    assert most < _programs.MAPS + 4000
    assert gigabytes < 4.0
