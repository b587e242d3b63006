"""flowsim against what people use instead: seconds, vector-field evaluations and true error, side by side.

python -m benchmarks.peers [--setting paper|wide|long] [--repeats 5] [--only PEER …] [--out TABLE.csv|TABLE.json]

Every method is given the loosest tolerance at which the final parameters are within 1e-8 of the true ones, over the
distance travelled. The truth comes from SciPy's DOP853 at rtol 1e-13, checked by a multistep method. Methods take
turns, so that a slow moment of the machine hits all. PyTorch's are in the dependency group `peers`.
"""

import argparse
import csv
import dataclasses
import json
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from flowsim.simulation import Stopwatch

from .peer_cases import SETTINGS, Case
from .peer_kinds import DEFAULT, FLOWSIM, PEERS, Method, Run

ERROR = 1e-8
TOLERANCES = tuple(10.0 ** (-k / 2) for k in range(12, 27))  # 1e-6 … 1e-13


@dataclasses.dataclass
class Entry:
    """One method's row. `reason`: why it is not in the race, empty if it is; `seconds`: of every repeat."""

    name: str
    tolerance: float | None = None
    error: float | None = None
    evaluations: int | None = None
    compile: float | None = None
    seconds: list[float] = dataclasses.field(default_factory=list)
    reason: str = ""
    again: Callable[[], Any] | None = dataclasses.field(default=None, repr=False)

    @property
    def median(self) -> float | None:
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def races(self) -> bool:
        return not self.reason and bool(self.seconds)


def attempt(method: Method, case: Case, bar: float = ERROR) -> Entry:
    """Find the loosest tolerance that reaches the bar; whatever goes wrong becomes the row's reason."""
    entry = Entry(method.name, reason=method.missing() or "")
    if entry.reason:
        return entry
    try:
        _search(entry, method.make(case), method.tolerances or TOLERANCES, case, bar)
    except Exception as error:  # a peer's failure is a result
        entry.reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return entry


def _search(entry: Entry, run: Run, tolerances: Sequence[float], case: Case, bar: float) -> None:
    """From the loosest on: errors do not fall evenly with the tolerance, so a bisection would miss the first."""
    error, end, tolerance, seconds, compiling = float("inf"), None, 0.0, 0.0, []
    for tolerance in tolerances:
        watch, before = Stopwatch(), time.perf_counter()
        try:
            end = run.solve(tolerance)
        except Exception:  # at the tightest it is the method's failure, before it just is not good enough
            if tolerance == tolerances[-1]:
                raise
            continue
        error, seconds = case.error(run.flat(end)), time.perf_counter() - before
        compiling.append(watch.read()[0])
        if error <= bar:
            break
    entry.compile = max(compiling)  # most share one program, some compile for every tolerance
    entry.error = error
    entry.tolerance, entry.evaluations = tolerance, run.evaluations(tolerance, end)
    if error > bar:
        entry.seconds, entry.reason = [seconds], f"does not reach {bar:g}; timed once"
    else:
        entry.again = lambda: run.solve(tolerance)


def race(entries: Sequence[Entry], repeats: int) -> None:
    """Time everyone that reaches the bar, in turns."""
    for _ in range(repeats):
        for entry in entries:
            if entry.again is not None:
                before = time.perf_counter()
                entry.again()
                entry.seconds.append(time.perf_counter() - before)


def compare(case: Case, repeats: int, methods: Sequence[Method] = (FLOWSIM, DEFAULT, *PEERS)) -> list[Entry]:
    """All rows, flowsim's first: by the solver for the end of a flow, and by the default one."""
    entries = []
    for method in methods:
        print(f"{method.name} …", file=sys.stderr, flush=True)
        entries.append(attempt(method, case))
    race(entries, repeats)
    return entries


def ratio(entries: Sequence[Entry]) -> tuple[float, str] | None:
    """(flowsim's seconds over the best peer's, that peer's name); None without both."""
    ours, *theirs = entries
    racing = [entry for entry in theirs if entry.races and entry.name != DEFAULT.name]
    if not ours.races or not racing:
        return None
    best = min(racing, key=lambda entry: entry.median or 0.0)
    assert ours.median is not None
    assert best.median is not None
    return ours.median / best.median, best.name


def table(entries: Sequence[Entry]) -> str:
    head = ("method", "tolerance", "seconds", "from", "to", "compile", "evaluations", "error")
    rows = [head, *map(_cells, entries)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
             for row in rows]  # fmt: skip
    reasons = ["", *(entry.reason for entry in entries)]
    return "\n".join(f"{line}  {reason}".rstrip() for line, reason in zip(lines, reasons, strict=True))


def _cells(entry: Entry) -> tuple[str, ...]:
    def shown(value, form):
        return "–" if value is None else format(value, form)

    low, high = (min(entry.seconds), max(entry.seconds)) if entry.seconds else (None, None)
    return (
        entry.name, shown(entry.tolerance, ".1e"), shown(entry.median, ".4g"), shown(low, ".4g"), shown(high, ".4g"),
        shown(entry.compile, ".3g"), shown(entry.evaluations, "d"), shown(entry.error, ".1e"),
    )  # fmt: skip


def records(setting: str, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Tidy: a row for each method and repeat; one without times for those that were not timed."""
    return [
        {
            "setting": setting, "method": entry.name, "tolerance": entry.tolerance, "error": entry.error,
            "evaluations": entry.evaluations, "seconds_compile": entry.compile, "repeat": number, "seconds": seconds,
            "reason": entry.reason,
        }
        for entry in entries
        for number, seconds in enumerate(entry.seconds or [None])
    ]  # fmt: skip


def write(path: pathlib.Path, rows: Sequence[dict[str, Any]]) -> None:
    """As CSV or JSON, by the name's end."""
    if path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1) + "\n")
        return
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def report(case: Case, entries: Sequence[Entry]) -> str:
    setting = case.setting
    size = f"n = {setting.samples}, L = {setting.length}, d = {setting.vocabulary}, m = {setting.width}"
    title = f"{setting.name}: {size}, m1 = {setting.neurons}, t = {setting.t1:g}, error ≤ {ERROR:g}"
    lines = [title, *([setting.note] if setting.note else []),
             f"two references differ by {case.doubt:.1e}", table(entries)]  # fmt: skip
    found = ratio(entries)
    if found is None:
        return "\n".join([*lines, "no ratio: flowsim or every peer is out of the race"])
    bar = "" if setting.bar is None else f"; bar {setting.bar:.4g}: {'kept' if found[0] <= setting.bar else 'MISSED'}"
    return "\n".join([*lines, f"flowsim / best peer ({found[1]}): {found[0]:.4g}{bar}"])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--setting", choices=SETTINGS, action="append", help="all if not given")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--only", action="append", help="a peer's name, to leave the others out; may be repeated")
    parser.add_argument("--t1", type=float, help="another end of the flow")
    asked = parser.parse_args(arguments)
    peers = {peer.name: peer for peer in PEERS}
    if unknown := set(asked.only or ()) - set(peers):
        parser.error(f"no peer is called {', '.join(sorted(unknown))}; they are {', '.join(peers)}")
    methods = (FLOWSIM, DEFAULT, *(peers[name] for name in asked.only or peers))
    jax.config.update("jax_enable_x64", True)
    print(f"device {jax.devices()[0].device_kind}")
    rows = []
    for name in asked.setting or SETTINGS:
        setting = SETTINGS[name]
        if asked.t1 is not None:
            setting = dataclasses.replace(setting, t1=asked.t1, note="t1 as asked for")
        case = Case(setting, setting.problem())
        entries = compare(case, asked.repeats, methods)
        print(report(case, entries), flush=True)
        rows += records(name, entries)
        if asked.out is not None:
            write(asked.out, rows)


if __name__ == "__main__":
    main()
