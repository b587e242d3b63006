"""The data of Figure 1, as a run writes it, for tests of figures."""

from pathlib import Path

import numpy as np
import xarray

from flowsim import plot

GROUPS = ["both", "first", "second", "neither"]
SIZES = np.array([30, 10, 10, 10])
REFERENCE = Path(__file__).parent / "reference" / "figure1.npz"


def dataset():
    """The paper's Figure 1 of the reference file. Σ g as if all losses of a group were equal: g = 1 - exp(-loss)."""
    with np.load(REFERENCE) as file:
        data = {name: file[name] for name in ("times", "loss", "loss_by_group", "attention_score", "mlp_alignment")}
    weight = (data["times"] / (1 + data["times"]))[:, None, None, None]
    maps = (1 - weight) / 5 + weight * np.stack([np.eye(5), np.roll(np.eye(5), 1, axis=0)])
    spread = np.outer(np.log1p(data["times"]), np.linspace(-1, 1, 5))
    nodes = np.outer(1 / (1 + data["times"]), [-1.0, 0.0, 3.0])[:, None]
    quadrature = np.stack([nodes, np.broadcast_to([0.1, 0.8, 0.1], nodes.shape)], axis=1)
    return xarray.Dataset(
        {
            "loss": ("time", data["loss"]),
            "loss_by_group": (("time", "group"), data["loss_by_group"]),
            "gradient_sum": (("time", "group"), SIZES * -np.expm1(-data["loss_by_group"])),
            "attention_score": (("time", "key_word", "query_word"), data["attention_score"]),
            "mlp_alignment": (("time", "word"), data["mlp_alignment"]),
            "mlp_alignment_random": (("time", "statistic"), spread),
            "invariant_key_query": ("time", 1e-15 * data["times"] ** 0.5),
            "attention_entropy": (("time", "head"), 1.6 - 1e-5 * data["attention_score"][:, 0, :2]),
            "event_phase1_end": ("seed", 0.22 * np.exp(np.linspace(-1, 1, 40) ** 3)),
            "event_mlp_aligned": ("seed", np.where(np.arange(40) < 30, 2.0 + np.arange(40) / 10, np.nan)),
            "attention_map": (
                ("time", "head", "key_position", "query_position"),
                maps,
                {"long_name": "attention of each head, sample 0"},
            ),
            "hessian_spectrum": (("time", "eigenvalue"), np.outer(1 / (1 + data["times"]), [-1.0, 0.0, 3.0])),
            "hessian_density": (("time", "rule", "start", "node"), quadrature),
            "loss_derivative": (("time", "direction"), np.outer(data["loss"], [1.0, -0.5])),
            "influence": (("quantity", "sample"), np.outer([1.0, -0.3], np.linspace(-0.2, 0.5, 60) ** 3)),
            "block_norm": (("time", "block"), 6 + np.log1p(data["times"])[:, None] * [1.0, 2.0]),
        },
        coords={
            "time": data["times"],
            "group": GROUPS,
            "word": [0, 1, 2],
            "key_word": [0, 1, 2],
            "query_word": [0, 1, 2],
            "statistic": list(plot.figures.alignment.STATISTICS),
            "head": ["1.1", "1.2"],
            "block": [1, 2],
            "rule": ["node", "weight"],
            "direction": ["log sigma0", "weight of sample 0"],
            "quantity": ["loss", "phase1_end"],
            "group_of_sample": ("sample", np.repeat(GROUPS, SIZES)),
            "key_position": range(5),
            "query_position": range(5),
        },
    )


def events():
    with np.load(REFERENCE) as file:
        saddle = {"time": 5.0, "times": [5.0], "loss": 0.02, "index": 2.0}
        return {
            "phase1_end": {"time": float(file["phase1_end"]), "times": [float(file["phase1_end"])]},
            "saddle": saddle,
        }


def discrete(dataset, label="sgd, learning rate 0.01", factor=1.01):
    run = dataset.isel(time=slice(20, None)) * factor
    run["invariant_key_query"] = 1e-9 + 0 * run["time"]
    times = run["time"].values
    run["flow_distance"] = ("distance_time", (factor - 1) * (1 + np.log(times / times[0])))
    run["stability"] = ("edge_time", 250 * (factor - 1) / (1 + times[::10]))
    run = run.assign_coords(distance_time=times, edge_time=times[::10])
    about = {
        "optimizer": "sgd",
        "against": "gradient flow",
        "tube": 0.01,
        "end": times[-1],
    }
    about |= {"learning_rate": factor - 1, "final_distance": float(run["flow_distance"][-1]), "edge_limit": 2.0}
    return run.assign_attrs(label=label, **about)
