"""Memory of a run: with more saved times, and in copies of the parameters.

python -m benchmarks.memory [rows] [parameters] [--solvers lean4 tsit5 …]

`rows`: peak memory of t = 1e12 with 100 and with 100 000 saved times. `parameters`: the peak resident memory of runs
with a cheap loss, in processes of their own, at two numbers of parameters; their difference, over the difference in
parameters, is what a run holds for each of them, with its start, its last states, and whatever the compiler adds.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile

EXPERIMENT = pathlib.Path(__file__).parent.parent / "experiments" / "long_horizon.yaml"
SIZES = ((200_000, 1_000_000), (1_000_000, 10_000_000))
SOLVERS = ("lean3", "lean4", "lean5", "tsit5", "dopri8")
_RUN = """
import sys, resource, jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", True)
import flowsim
solver, size = sys.argv[1], int(sys.argv[2])
problem = flowsim.Problem.from_loss(lambda x: jnp.sum(x**3 / 3 - x**2 / 2), jnp.linspace(0.1, 0.9, size))
result = flowsim.simulate(problem, t1=2.0, solver=solver, rtol=1e-5, save_times=[2.0])
assert result.status.ok
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def peak(points: int) -> float:
    """MB of a run in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "flowsim", "run", str(EXPERIMENT), f"save.points={points}", "--out", f"{folder}/run", "-q"]
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def resident(solver: str, size: int) -> float:
    """Bytes at the peak of a run with so many parameters."""
    done = subprocess.run([sys.executable, "-c", _RUN, solver, str(size)], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def copies(solver: str, small: int, large: int) -> float:
    """Numbers of float64 that a run holds for each parameter."""
    return (resident(solver, large) - resident(solver, small)) / (8 * (large - small))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=["rows", "parameters"])
    parser.add_argument("--solvers", nargs="+", default=SOLVERS)
    asked = parser.parse_args()
    if "rows" in asked.what:
        few = peak(100)
        many = peak(100_000)  # the largest child so far, which is what ru_maxrss of children means
        print(f"100 saved times: {few:.0f} MB; 100 000: {many:.0f} MB; ratio {many / few:.3f}")
    if "parameters" in asked.what:
        print("| solver |" + "".join(f" {small:.0e} to {large:.0e} |" for small, large in SIZES))
        for solver in asked.solvers:
            print(f"| `{solver}` |" + "".join(f" {copies(solver, *size):.1f} |" for size in SIZES), flush=True)


if __name__ == "__main__":
    main()
