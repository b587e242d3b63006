"""Thousands of broken experiment files, as `flowsim check` reads them.

    python -m tests.fuzz [COUNT] [SEED]    default: 10 000 files

Every file ends with 0 (sound) or 2 (refused); ends with 1 where one did not, or took more than two seconds.
"""

import collections
import pathlib
import sys
import tempfile
import traceback

from .experiments import mutated
from .judge import judge


def main(count: int = 10_000, seed: int = 1) -> int:
    endings, slowest, wrong = collections.Counter(), 0.0, 0
    with tempfile.TemporaryDirectory(prefix="flowsim-fuzz-") as folder:
        for number, raw in enumerate(mutated(seed, count)):
            try:
                ending, seconds = judge(raw, pathlib.Path(folder), number)
            except Exception:
                wrong += 1
                print(f"file {number}: {raw!r}\n{traceback.format_exc(limit=-4)}", flush=True)
                continue
            endings[ending.__name__] += 1
            slowest = max(slowest, seconds)
    print(f"{count} files: {dict(endings)}, {wrong} ended otherwise; the slowest took {slowest:.2f} s")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
