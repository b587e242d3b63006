"""The figures of `docs/findings.md` on what the papers of the gallery do not say:

    python docs/findings.py RUNS

runs `flowsim gallery verify` with the numbers below into RUNS, but for runs that it holds already, and draws each
figure from their `claims.json` and `trajectory.nc`.
"""

import json
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import xarray
from scipy.optimize import nnls

from flowsim import gallery

IMAGES = pathlib.Path(__file__).parent / "images" / "findings"
DELTAS = (-8, -6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6, 8)
POWERS = (0.127, 0.435)  # 2(1 - |g|) of the two largest |g| off the support, g the linear program's dual at every input
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000")


def verified(runs, run, paper, *overrides):
    """The run's folder, after the run if it is not there."""
    folder = runs / run
    if not (folder / "claims.json").is_file():
        command = ["gallery", "verify", paper, *overrides, "--out", folder]
        subprocess.run([sys.executable, "-m", "flowsim", *map(str, command)], check=True, stdout=subprocess.DEVNULL)
    return folder


def measured(folder, label):
    """The numbers of a run's claims whose label begins like this, by what follows."""
    content = json.loads((folder / "claims.json").read_text(encoding="utf8"))
    pairs = [pair for claim in content["claims"] for pair in claim["measured"].items()]
    return {name.removeprefix(label): value for name, value in pairs if name.startswith(label)}


def trajectory(folder):
    with xarray.open_dataset(folder / "trajectory.nc") as data:
        return data.load()


def unbalanced(runs, axes):
    data = trajectory(verified(runs, "kunin2024-deltas", "kunin2024", f"problem.deltas={list(DELTAS)}"))
    final = data.kernel_distance.values[-1]
    print("kunin2024", dict(zip(DELTAS, final.round(6).tolist(), strict=True)))
    axes.plot(DELTAS, final, "o", color=COLORS[0], markersize=4, label="measured, overlap 0.5")
    for overlap, color in zip((0.5, 0.0, 1.0), COLORS, strict=False):
        delta, distance = exact_distances(overlap)
        axes.plot(delta, np.maximum(distance, 1e-6), color=color, linewidth=0.9, label=f"exact, overlap {overlap:g}")
    axes.set(xlabel="δ", ylabel="final distance of the kernel", yscale="log")


def exact_distances(overlap):
    """The δ, and the kernel's distance from its start at t = 20, in closed form."""
    module, key = gallery.module("kunin2024"), jax.random.key(0)
    delta = np.linspace(DELTAS[0], DELTAS[-1], 161)
    paper = module.Kunin2024(deltas=tuple(delta), overlap=overlap)
    ends = (jnp.asarray(x[0]) for x in paper.path(key, np.array([20.0])))
    each = jax.vmap(module.kernel_distance, (0, 0, 0, 0, None))
    return delta, np.asarray(each(*paper.start(key), *ends, jnp.ones(2)))


def silent(runs, axes):
    found = measured(verified(runs, "atanasov2022", "atanasov2022"), "risk / its start when aligned, σ = ")
    sigma, lost = np.array([(float(name), 1 - value) for name, value in found.items()]).T
    print("atanasov2022", dict(zip(sigma.tolist(), lost.tolist(), strict=True)))
    axes.plot(sigma, lost, "o", color=COLORS[0], markersize=4, label="measured")
    axes.plot(sigma, lost[-1] * (sigma / sigma[-1]) ** 2, "--", color="#888888", linewidth=0.8, label="∝ σ²")
    axes.set(xlabel="σ", ylabel="part of the risk lost\nwhile aligning", xscale="log", yscale="log")


def sparse(runs, axes):
    alphas = "problem.scales=[1.0, 0.1, 3.0e-2, 1.0e-2, 3.0e-3, 1.0e-3, 3.0e-4, 1.0e-4]"
    folder = verified(runs, "woodworth2020-alphas", "woodworth2020", alphas)
    norms = {float(a): value for a, value in measured(folder, "ℓ₁ norm at α = ").items()}
    (excess,) = measured(folder, "relative excess over the least ℓ₁ norm").values()
    least = norms[min(norms)] / (1 + excess)
    alpha = np.array(sorted(a for a in norms if a < 1))
    over = np.array([norms[a] / least - 1 for a in alpha])
    print("woodworth2020", dict(zip(alpha.tolist(), over.tolist(), strict=True)))
    powers = alpha[:, None] ** np.array(POWERS)
    fitted = powers @ nnls(powers / over[:, None], np.ones(len(over)))[0]
    axes.plot(alpha, over, "o", color=COLORS[0], markersize=4, label="measured")
    axes.plot(alpha, fitted, "--", color="#888888", linewidth=0.8, label="a α^0.13 + b α^0.44, fitted")
    axes.set(xlabel="α", ylabel="ℓ₁ norm over the least, - 1", xscale="log", yscale="log")


def late(runs, axes):
    data = trajectory(verified(runs, "tarzanagh2023", "tarzanagh2023"))
    keep = data.time.values > 10
    log, angle = np.log(data.time.values[keep]), 1 - data.cosine.values[keep].reshape(-1)
    print("tarzanagh2023, (1 - cosine) ln² t at the end", float(angle[-1] * log[-1] ** 2))
    axes.plot(log, angle, color=COLORS[0], label="1 - cosine")
    axes.plot(log, angle[-1] * (log[-1] / log) ** 2, "--", color="#888888", linewidth=0.8, label="∝ 1/ln² t")
    axes.set(xlabel="ln t", ylabel="1 - cosine with the separator", xscale="log", yscale="log")


def winner(runs, axes):
    folder = verified(runs, "he2026", "he2026")
    data, (end,) = trajectory(folder), measured(folder, "predicted blow-up time").values()
    for k, name in enumerate((0.3, 1.3, 2.6)):
        beta = data.beta.values.reshape(len(data.time), -1)[:, k]
        axes.plot(end - data.time.values, beta, ".-", color=COLORS[k], label=f"D = {name}")
    print("he2026", end, data.beta.values[-1])
    axes.set(xlabel="time left to the blow-up", ylabel="β", xscale="log", yscale="log")
    axes.invert_xaxis()


FIGURES = {"unbalanced": unbalanced, "silent": silent, "sparse": sparse, "late": late, "winner": winner}


def main(runs):
    IMAGES.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_enable_x64", True)
    plt.rcParams["font.size"] = 8
    for name, draw in FIGURES.items():
        figure, axes = plt.subplots(figsize=(4.4, 2.7), layout="constrained")
        draw(runs, axes)
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(IMAGES / f"{name}.png", dpi=110)
        plt.close(figure)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
