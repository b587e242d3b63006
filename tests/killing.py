"""Run one small experiment again and again, to be killed at any moment: `python -m tests.killing FOLDER COUNT`.

A start first goes on with every run that an earlier process left behind, then makes new ones.
"""

import pathlib
import sys

SOURCE = """\
name: killed
seed: 3
task: {kind: cooccurrence, samples: 12, length: 4, vocabulary: 10}
model: {kind: cooccurrence_transformer, width: 8, neurons: 8}
init: {kind: gaussian, sigma0: 0.3, sigma1: 0.3}
flow: {kind: gradient, t1: 20.0}
solver: {kind: tsit5, rtol: 2.0e-6, atol: 1.0e-8}
events: [phase1_end, {kind: loss_below, value: 1.0e-1}]
save: {points: 3000, spacing: log}
descent: [{optimizer: sgd, learning_rate: 0.1, steps: 50, against_flow: false}]
figures: [loss]
certificate: false
"""
SAME = ("trajectory.nc", "parameters.safetensors", "descent/00.nc", "figures/loss.png")


def run(folder: pathlib.Path, *, resume: bool = False, source: str = SOURCE):
    from flowsim.config import Source, load_text
    from flowsim.experiment.run import run_experiment

    experiment = load_text(source, origin="killed.yaml", folder=folder.parent)
    return run_experiment(
        Source(experiment, source, folder.parent),
        folder,
        resume=resume and (folder / "meta.json").exists(),
        force=True,
    )


def main(root: str, count: str) -> None:
    for index in range(int(count)):
        folder = pathlib.Path(root) / f"{index:03d}"
        if not (folder / "done").exists():
            print("start", index, flush=True)
            run(folder, resume=True)
            (folder / "done").touch()
    print("all done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
