"""The gallery's page and figures, from measured runs:

    for name in …; do flowsim gallery verify $name --out RUNS/$name; done
    python docs/gallery.py RUNS

writes `docs/gallery.md` from every `claims.json`, and `figure.png` into every paper's folder from its trajectory.
"""

import json
import pathlib
import sys
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import xarray

from flowsim import gallery

HEAD = """\
Statements about training dynamics that a run decides, one folder for each paper. `flowsim gallery` lists them,
`flowsim gallery show NAME` prints a paper's page, and `flowsim gallery verify NAME [key=value …]` runs it, with
other numbers if you like, and judges every claim. A claim with a closed form holds if the run is within 10 of its
own error bands of it at every saved time. The tables are measured: `docs/gallery.py` writes this page from the
runs' `claims.json`. How to write a claim of your own: [Your own claim](your-own-claim.md).
"""
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000")
# paper -> (variables, x scale, y scale, label of y)
SHOWN = {
    "atanasov2022": (("risk", "alignment"), "linear", "linear", "risk and alignment, one curve for each σ"),
    "boursier2025": (("class_risk", "line_risk"), "log", "log", "loss: classes at two scales λ, and the line (green)"),
    "cohen2021": (("sharpness",), "log", "linear", "sharpness along the flow"),
    "he2026": (("beta",), "linear", "log", "β of each frequency"),
    "kumar2024": (("train", "test"), "log", "log", "training (blue, orange) and test loss (green, pink)"),
    "kunin2024": (("kernel_distance",), "log", "linear", "distance of the kernel, one curve for each δ"),
    "makkuva2024": (("cross_entropy",), "log", "linear", "cross-entropy, one curve for each start"),
    "nichani2024": (("loss",), "log", "linear", "cross-entropy"),
    "saxe2014": (("strength",), "linear", "linear", "strength of each mode"),
    "simon2023": (("loss",), "linear", "linear", "loss"),
    "tarzanagh2023": (("cosine",), "log", "linear", "cosine with the maximum-margin separator"),
    "woodworth2020": (("beta",), "log", "linear", "entries of β at the smallest α"),
    "yang2024": (("loss",), "log", "log", "loss"),
    "zhang2024": (("coefficients",), "log", "linear", "entries of u U in the eigenbasis of Λ"),
    "zhang2025": (("risk_random", "risk_merged"), "log", "linear", "population risk: separate and merged K, Q"),
}


def curves(name, data):
    """(times, (times, curves)) of a paper's figure."""
    keep = data.time.values > 0
    rows = [data[variable].values[keep] for variable in SHOWN[name][0]]
    if name == "woodworth2020":
        rows = [row[:, -1] for row in rows]
    return data.time.values[keep], np.concatenate([row.reshape(len(row), -1) for row in rows], axis=1)


def draw(name, data, path):
    _, x, y, label = SHOWN[name]
    time, lines = curves(name, data)
    plt.rcParams["font.size"] = 8
    figure, axes = plt.subplots(figsize=(4.4, 2.7), layout="constrained")
    for i, line in enumerate(lines.T):
        axes.plot(time, line, color=COLORS[i % len(COLORS)], linewidth=1.1)
    for level in levels(name):
        axes.axhline(level, color="#888888", linewidth=0.7, linestyle=(0, (4, 2)))
    axes.set(xscale=x, yscale=y, xlabel="t", ylabel="\n".join(textwrap.wrap(label, 24)))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def levels(name):
    """Heights that the paper predicts, drawn dashed."""
    if name == "zhang2025":
        return gallery.module(name).Zhang2025().plateaus()
    if name == "saxe2014":
        return (4.0, 2.0, 1.0)
    if name == "nichani2024":
        paper = gallery.module(name).Nichani2024()
        return (np.log(paper.words), paper.unigram(), paper.bigram())
    return ()


def numbers(claim):
    """The first measured numbers of a claim, in a line."""
    named = [(a, v) for a, v in claim["measured"].items() if v is not None and not a.replace(".", "").isdigit()]
    shown = [f"{label} {value:.4g}" for label, value in named][:2]
    return "; ".join(shown) or "; ".join(claim["reasons"])


def section(paper, folder):
    """What the page says of a paper's run."""
    content = json.loads((folder / "claims.json").read_text(encoding="utf8"))
    rows = [(c["id"], c["verdict"], numbers(c)) for c in content["claims"]]
    body = paper.page.split("## Where it fails, and why")[1].split("## Other numbers")[0].strip()
    return [
        f"## {paper.name}",
        "",
        f"{paper.title}. *{paper.source}*",
        "",
        f"![{SHOWN[paper.name][3]}](images/gallery/{paper.name}.png)",
        "",
        "| claim | verdict | measured |",
        "|---|---|---|",
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows),
        "",
        f"**Where it fails, and why.** {body}",
        "",
    ]


def page(folders, before):
    """`docs/gallery.md`; a paper that has not been run keeps what the page said `before`."""
    kept = {part.split("\n", 1)[0]: f"## {part}".rstrip("\n").split("\n") for part in before.split("\n## ")[1:]}
    lines = ["# Gallery of papers", "", *HEAD.splitlines(), ""]
    for paper in gallery.papers():
        if (folders / paper.name / "claims.json").is_file():
            lines += section(paper, folders / paper.name)
        elif paper.name in kept:
            lines += [*kept[paper.name], ""]
        else:
            print(f"{paper.name} has not been run")
    return "\n".join(lines)


def main(folders):
    here = pathlib.Path(__file__).parent
    (here / "images" / "gallery").mkdir(parents=True, exist_ok=True)
    for paper in gallery.papers():
        run = folders / paper.name / "trajectory.nc"
        if run.is_file():
            with xarray.open_dataset(run) as data:
                draw(paper.name, data, paper.folder / "figure.png")
        (here / "images" / "gallery" / f"{paper.name}.png").write_bytes((paper.folder / "figure.png").read_bytes())
    before = (here / "gallery.md").read_text(encoding="utf8")
    (here / "gallery.md").write_text(page(folders, before), encoding="utf8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
