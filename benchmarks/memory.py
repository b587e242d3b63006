"""Does memory grow with what is saved? Peak memory of t = 1e12 with 100 and with 100 000 saved times.

python -m benchmarks.memory
"""

import pathlib
import resource
import subprocess
import sys
import tempfile

EXPERIMENT = pathlib.Path(__file__).parent.parent / "experiments" / "long_horizon.yaml"


def peak(points: int) -> float:
    """MB of a run in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "flowsim", "run", str(EXPERIMENT), f"save.points={points}", "--out", f"{folder}/run", "-q"]
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    few = peak(100)
    many = peak(100_000)  # the largest child so far, which is what ru_maxrss of children means
    print(f"100 saved times: {few:.0f} MB; 100 000: {many:.0f} MB; ratio {many / few:.3f}")


if __name__ == "__main__":
    main()
