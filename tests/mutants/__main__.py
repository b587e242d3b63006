"""Plant each fault of the table in a copy of the tree, and run the tests that should notice it.

    python -m tests.mutants [FIRST-LAST] [--jobs N]    default: all of them, one after the other

Says which were caught, and which escaped; ends with 1 where more than two escaped.
"""

import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flowsim._jit import OLDER_EMITTER, known

from .table import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent.parent
COPIED = ("src", "tests", "benchmarks", "experiments", "docs", "pyproject.toml", "README.md", "CHANGELOG.md")
_SECONDS = 300  # of its own time: a test that hangs has noticed
# As `conftest.py` has the workers compile: it cannot do so for a process that has begun.
_FLAGS = " ".join(f"--{name}={str(on).lower()}" for name, on in OLDER_EMITTER.items())
_QUICKLY = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"} | ({"XLA_FLAGS": _FLAGS} if known(OLDER_EMITTER) else {})
_ESCAPED = 2  # so many of all may escape


def arguments(mutant: Mutant) -> list[str]:
    """For pytest. Words after the first that name no file select by `-k`."""
    chosen, names = [], []
    for word in mutant.tests.split():
        (chosen if ".py" in word else names).append(word)
    return [f"tests/test_{word}" for word in _expanded(chosen, names)] + (["-k", " or ".join(names)] if names else [])


def _expanded(chosen: list[str], names: list[str]) -> list[str]:
    """A beginning of a test's name stands for all that begin so: they are selected by `-k`."""
    found = []
    for word in chosen:
        file, _, test = word.partition("::")
        whole = "[" in test or not test or f"def {test}(" in (ROOT / "tests" / f"test_{file}").read_text("utf8")
        found.append(word if whole else file)
        if not whole:
            names.append(test)
    return found


def planted(mutant: Mutant, tree: Path) -> None:
    """Put the fault into a copy of the tree."""
    path = tree / "src" / "flowsim" / mutant.file
    text = path.read_text("utf8")
    assert text.count(mutant.old) == 1, mutant
    path.write_text(text.replace(mutant.old, mutant.new), "utf8")


def caught(number: int) -> tuple[int, str, float, str]:
    """(number, `caught` or `escaped` or what else happened, seconds, the last lines that pytest wrote)."""
    mutant, began = MUTANTS[number], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="flowsim-mutant-") as folder:
        tree = Path(folder)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
            copy(ROOT / name, tree / name)
        planted(mutant, tree)
        # Types are not what is asked here, and to check them takes longer than most of these tests.
        environment = _QUICKLY | os.environ | {"PYTHONPATH": str(tree / "src"), "FLOWSIM_TESTS_UNTYPED": "1"}
        command = [sys.executable, "-m", "pytest", "-x", "-n", "0", "-p", "no:cacheprovider", *arguments(mutant)]
        try:
            done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            return number, "caught", time.monotonic() - began, "it hangs"
    verdict = {0: "escaped", 1: "caught"}.get(done.returncode, f"no verdict (pytest: {done.returncode})")
    return number, verdict, time.monotonic() - began, done.stdout[-1500:] + done.stderr[-1500:]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.split("\n")[0])
    parser.add_argument("which", nargs="?", default=f"1-{len(MUTANTS)}")
    parser.add_argument("--jobs", type=int, default=1)
    known = parser.parse_args()
    first, _, last = known.which.partition("-")
    numbers = range(int(first) - 1, int(last or first))
    verdicts = []
    with concurrent.futures.ThreadPoolExecutor(known.jobs) as pool:
        for number, verdict, seconds, said in pool.map(caught, numbers):
            mutant = MUTANTS[number]
            print(f"{number + 1:3} {verdict:8} {seconds:6.1f} s  {mutant.file}: {mutant.new.strip()}", flush=True)
            verdicts.append(verdict)
            if verdict != "caught":
                print(f"    {mutant.tests}\n{said}", flush=True)
    missed = len(verdicts) - verdicts.count("caught")
    print(f"{verdicts.count('caught')} of {len(verdicts)} caught")
    return int(missed > _ESCAPED)


if __name__ == "__main__":
    sys.exit(main())
