"""The figure of `docs/findings.md` on what the gallery's papers do not say, from measured runs:

for name in kunin2024 atanasov2022 woodworth2020 tarzanagh2023 he2026
do flowsim gallery verify $name --out RUNS/$name; done
python docs/findings.py RUNS
"""

import pathlib
import sys

import matplotlib.pyplot as plt
import numpy as np
import xarray

from flowsim import gallery

BLUE, RED, GREEN = "#0072B2", "#D55E00", "#009E73"


def problem(name):
    """A paper's problem with the numbers of its experiment file."""
    from flowsim.config import load

    paper = gallery.paper(name)
    paper.register()
    return load(paper.experiment, []).problem


def kernels(axes, data):
    """Distance of the final kernel from its start, over δ."""
    axes.plot(problem("kunin2024").deltas, data.kernel_distance.values[-1], "o-", color=BLUE)
    axes.set(title="Lazy on one side only", xlabel="δ", ylabel="final kernel distance")


def alignment(axes, data):
    """Risk against alignment, one curve for each σ."""
    for k, sigma in enumerate(problem("atanasov2022").scales[:3]):
        axes.plot(data.alignment.values[:, k], 2 * data.risk.values[:, k], label=f"σ = {sigma:g}")
    axes.axvline(0.9, color="#888888", linewidth=0.7, linestyle="--")
    axes.set(title="How silent alignment is", xlabel="share of WᵀW along β", ylabel="risk over its start")
    axes.legend(frameon=False)


def sparsity(axes, data):
    """ℓ₁ norm of the limit, over α, against the linear program's."""
    paper, norms = problem("woodworth2020"), np.abs(data.beta.values[-1]).sum(axis=1)
    X, y = (np.asarray(x) for x in paper.data(paper_key("woodworth2020")))
    axes.semilogx(paper.scales, norms, "o-", color=BLUE, label="limit of the flow")
    axes.axhline(gallery.module("woodworth2020")._least_l1(X, y), color=RED, linestyle="--", label="minimum ℓ₁")
    axes.set(title="How far from minimum ℓ₁", xlabel="α", ylabel="ℓ₁ norm")
    axes.legend(frameon=False)


def margins(axes, data):
    """1 - cosine, against ln t."""
    late = data.time.values > 10
    time = data.time.values[late]
    axes.loglog(np.log(time), 1 - data.cosine.values[late], color=BLUE, label="1 - cosine")
    axes.loglog(np.log(time), 0.23 / np.log(time) ** 2, color=RED, linestyle="--", label="0.23 / ln² t")
    axes.set(title="How late the maximum margin is", xlabel="ln t")
    axes.legend(frameon=False)


def winner(axes, data):
    """β of every frequency, over time to the blow-up."""
    left = 43.9018 - data.time.values
    for k, (color, start) in enumerate(zip((BLUE, RED, GREEN), problem("he2026").starts, strict=True)):
        axes.loglog(left, data.beta.values[:, k], color=color, label=f"D = {start[2]:g}")
    axes.invert_xaxis()
    axes.set(title="The winner takes all", xlabel="time to the blow-up", ylabel="β")
    axes.legend(frameon=False)


def paper_key(name):
    from flowsim.config import Context, load

    return Context(load(gallery.paper(name).experiment, [])).key("problem")


PANELS = {
    "kunin2024": kernels,
    "atanasov2022": alignment,
    "woodworth2020": sparsity,
    "tarzanagh2023": margins,
    "he2026": winner,
}


def main(runs):
    plt.rcParams["font.size"] = 7
    figure, axes = plt.subplots(2, 3, figsize=(7.2, 4.2), layout="constrained")
    for panel, (name, draw) in zip(axes.flat, PANELS.items(), strict=False):
        with xarray.open_dataset(runs / name / "trajectory.nc") as data:
            draw(panel, data)
        panel.spines[["top", "right"]].set_visible(False)
    axes.flat[-1].set_axis_off()
    figure.savefig(pathlib.Path(__file__).parent / "images" / "findings_gallery.png", dpi=110)


if __name__ == "__main__":
    import jax

    jax.config.update("jax_enable_x64", True)
    main(pathlib.Path(sys.argv[1]))
