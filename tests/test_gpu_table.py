"""The accelerator's table (`benchmarks/gpu.py`) in its small form, on a CPU."""

import os
import pathlib
import subprocess
import sys

import pytest
from benchmarks import gpu

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
def test_two_rows_without_the_terminals_packages():
    rows, heavy = lines("--only", "trajectories", "agreement")
    assert heavy == "[]"
    agreement, (work, bare, ours, ratio, first, note), with_event = rows
    assert work == "50 systems of 9 numbers, loss at the end"
    assert with_event[0] == "50 systems of 9 numbers, and one event"
    assert float(bare) > 0
    assert 0 < float(ours) <= float(first)
    assert abs(float(ours) / float(bare) / float(ratio) - 1) < 0.1
    assert "trajectories a second" in note
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


@pytest.mark.slow
def test_the_whole_table():
    rows, _ = lines("--budget", "600")
    assert len(rows) == 13
    assert not any("failed" in row[-1] or "not measured" in row[-1] for row in rows)
