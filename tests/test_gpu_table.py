"""The accelerator's table (`benchmarks/gpu.py`) in its small form, on a CPU."""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from benchmarks import gpu, small_systems

ROOT = pathlib.Path(__file__).parent.parent
HEAVY = ("pydantic", "typer", "ruamel", "rich", "matplotlib", "xarray")


def lines(*arguments):
    """Cells of the printed table, from a process of its own; and what of the heavy packages it loaded."""
    code = (
        "import sys; from benchmarks.gpu import main; main(sys.argv[1:]);"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, "--small", *arguments]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    *table, heavy = done.stdout.splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table if line.startswith("|")][2:], heavy


@pytest.mark.slow
def test_some_rows_without_the_terminals_packages():
    rows, heavy = lines("--only", "trajectories", "agreement", "limits")
    assert heavy == "[]"
    agreement, (work, bare, ours, ratio, first, note), with_event, *rivals, limits = rows
    assert work == "50 systems of 9 numbers, loss at the end"
    assert with_event[0] == "50 systems of 9 numbers, and one event"
    assert float(bare) > 0
    assert 0 < float(ours) <= float(first)
    assert abs(float(ours) / float(bare) / float(ratio) - 1) < 0.1
    assert "trajectories a second" in note
    assert [row[0] for row in rivals] == ["the same by gradsolve", "the same by modax-solvers"]
    assert all(row[-1] for row in rivals)
    assert limits[0] == "20 limits of infinite width, 32 numbers, the end"
    found = re.fullmatch(r".* of the bare rate; error (\S+), bare (\S+); all reached the end: True", limits[-1])
    assert 0 < max(map(float, found.groups())) < 1e-5
    assert agreement[-1] == "this is a CPU: nothing to compare"


def test_what_the_budget_leaves_out_is_named():
    rows = list(gpu.measured(gpu.SMALL, tuple(gpu.ROWS), budget=-1.0))
    assert [row.work for row in rows] == list(gpu.ROWS)
    assert all("not measured" in row.note for row in rows)


def test_a_failure_is_a_row(monkeypatch):
    def broken(sizes, left):
        raise MemoryError("out of memory\nfor a long reason")
        yield

    monkeypatch.setitem(gpu.ROWS, "path", broken)
    (row,) = gpu.measured(gpu.SMALL, ["path"], budget=10.0)
    assert row.note == "failed: MemoryError: out of memory"


def test_events_and_certificates_are_judged(capsys):
    """The exit status is 1 where they are not the CPU's, or where there is nothing to compare."""

    def row(times, bound, there=((3.0, 5.0), 2e-9)):
        return gpu.judged(*(gpu.Outcome(np.array(times), bound) for times, bound in ((times, bound), there)))

    good = row([3.0, 5.0 + 4e-9], 2.9e-9)
    assert good.holds
    assert good.note == "holds: events apart by 8e-10, certificates 2.9e-09 and 2e-09"
    assert gpu.status([good, gpu.Row("another")]) == 0
    assert capsys.readouterr().err == ""
    for bad in (row([3.0, 5.0 + 6e-9], 2e-9), row([3.0, 5.0], 3.1e-9), row([3.0], 2e-9), row([3.0, np.nan], 2e-9),
                row([3.0, 5.0], np.inf, ((3.0, 5.0), np.inf)), row([], 0.0, ((), 0.0))):  # fmt: skip
        assert not bad.holds
        assert bad.note.startswith("does not hold: ")
        assert gpu.status([bad, good]) == 1
        assert capsys.readouterr().err == f"DOES NOT HOLD: {bad.work}: {bad.note}\n"
    assert gpu.status([gpu.Row("path", note="failed: MemoryError: full")]) == 1
    assert capsys.readouterr().err == "FAILED: path: failed: MemoryError: full\n"


@pytest.mark.slow
def test_what_is_compared_is_of_a_run():
    sizes = dataclasses.replace(gpu.SMALL, paper_t1=60.0)
    here, there = (gpu.outcome(sizes, jax.devices("cpu")[0]) for _ in range(2))
    assert gpu.judged(here, there).holds
    assert here.times.size == 1


EXACT = 1 / (1 + (1 / small_systems.starts(3) - 1) * np.exp(-small_systems.T1))


def rival(run, module="numpy"):
    """One under the name of a package that is here."""
    return small_systems.Rival("numpy", module, lambda starts: ("exact and its tolerance", run))


def of(rival):
    return small_systems.note(rival, small_systems.starts(3), bar=1e-5, ours=2.0)


def test_a_rival_takes_the_loosest_tolerance_that_will_do():
    note = of(rival(lambda rtol: EXACT + rtol))
    assert f"{np.__version__}, exact and its tolerance: " in note
    assert "rtol 3e-06, error " in note
    assert "flowsim takes " in note
    assert small_systems.error(small_systems.starts(3), small_systems.loss(EXACT)) < 1e-15


def test_a_rival_that_is_not_here_or_fails_is_told():
    def broken(rtol):
        raise RuntimeError("no such card\nat all")

    assert of(rival(None, "no_such_module")) == "not installed (pip install numpy)"
    assert of(rival(broken)).endswith("does not run here: RuntimeError: no such card")
    assert "no tolerance down to 1e-10" in of(rival(lambda rtol: EXACT + 1.0))
    assert "no tolerance down to 1e-10" in of(rival(lambda rtol: EXACT * np.nan))


@pytest.mark.slow
def test_the_whole_table():
    rows, _ = lines("--budget", "600")
    assert len(rows) == 16
    assert not any("failed" in row[-1] or "not measured" in row[-1] for row in rows)
