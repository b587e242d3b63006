"""SIGKILL at random moments, many times: does every run go on to the same bytes?

python -m benchmarks.kills [KILLS]

The test of the same name does 25; this does 200 by default, in two chains side by side.
"""

import os
import pathlib
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from tests.test_kill import assert_same, kill_often, uninterrupted


def main(kills: int = 200) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": str(root / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        reference, seconds = uninterrupted(root, environment)
        chains = [root / "a", root / "b"]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda c: kill_often(c, kills // 2, environment, c.name, 1.2 * seconds), chains))
        runs = [run for chain in chains for run in chain.iterdir()]
        for run in runs:
            assert_same(run, reference)
        print(f"{2 * (kills // 2)} kills, {len(runs)} runs: every file is the same to the last byte")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
