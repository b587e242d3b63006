"""Run folders and a sweep, written as `store` writes them, for tests of the interactive page."""

import numpy as np
import xarray

from flowsim._files import write_dataset, write_json

HOSTILE = "</script><img src=x onerror=alert(1)><b>&amp;\u2028'\"`${1}"
PROBE = HOSTILE.replace("/", "∕")  # netCDF allows no slash in a name


def trajectory(shift=1.0, count=40):
    time = np.concatenate([[0.0], np.geomspace(1e-2, 100.0, count - 1)])
    loss = np.exp(-shift * time / 20) * 0.7
    words = np.arange(3)
    score = np.tanh(shift * time / 10)[:, None, None] * np.array([[1.0, -0.5, 0.2], [0.1, 0.9, 0.3], [0.0, 0.4, -0.8]])
    heads = np.linspace(0.1, 1.0, 2)[None, :, None, None] * (0.25 + 0.1 * np.sin(time))[:, None, None, None]
    return xarray.Dataset(
        {
            "loss": ("time", loss, {"long_name": "training loss", "units": "1"}),
            "loss_error": ("time", 1e-9 * loss),
            "attention_score": (("time", "key_word", "query_word"), score),
            "attention_map": (("time", "head", "key_position", "query_position"), heads + np.eye(4)[None, None] / 2),
            "singular_values": (("time", "mode"), np.outer(1 + shift * time / 50, [3.0, 2.0, 1.0, 0.5])),
            PROBE: ("time", np.cos(time), {"long_name": HOSTILE, "units": HOSTILE}),
        },
        coords={
            "time": time,
            "key_word": words,
            "query_word": words,
            "head": ["1.1", HOSTILE],
            "key_position": range(4),
            "query_position": range(4),
            "mode": [1, 2, 3, 4],
        },
    )


def write_run(folder, shift=1.0, dataset=None, descent=True):
    """A finished run; its event happens at t = 7 / shift."""
    (folder / "descent").mkdir(parents=True)
    time = 7.0 / shift
    record = {"description": HOSTILE, "time": time, "times": [time, 3 * time], "uncertainty": 1e-9}
    write_json(folder / "meta.json", {"name": HOSTILE})
    write_json(
        folder / "summary.json",
        {
            "name": HOSTILE,
            "status": "done",
            "complete": True,
            "events": {"phase1_end": record, "never": {"time": None, "times": [], "uncertainty": None}},
            "final": {"time": 100.0},
            "certificate": {"relative_error": 3e-10},
        },
    )
    dataset = trajectory(shift) if dataset is None else dataset
    write_dataset(folder / "trajectory.nc", dataset)
    if descent:
        steps = dataset[["loss"]].isel(time=slice(0, None, 3)) * 1.01
        write_dataset(folder / "descent" / "00.nc", steps.assign_attrs(label="sgd, learning rate 0.1"))
    return folder


def sweep():
    width, sigma, seed, time = [128, 256, 512], [0.001, 0.01, 0.1, 1.0], [0, 1], np.array([0.0, 1.0, 10.0])
    dims = ("model.width", "init.sigma0", "seed")
    final = np.arange(24.0).reshape(3, 4, 2) / 7
    final[2, 3, 1] = np.nan
    status = np.full((3, 4, 2), "done", dtype=object)
    status[2, 3, 1] = "failed"
    member = np.array([f"m{k:02d}" for k in range(24)], dtype=object).reshape(3, 4, 2)
    return xarray.Dataset(
        {
            "status": (dims, status),
            "member": (dims, member),
            "relative_error": (dims, 1e-9 + 0 * np.nan_to_num(final)),
            "final_loss": (dims, final),
            "event_time": (("event", *dims), np.stack([final + 1, final + 2])),
            "loss": (("time", *dims), np.exp(-time)[:, None, None, None] * (1 + np.nan_to_num(final))),
        },
        coords={
            "model.width": width,
            "init.sigma0": sigma,
            "seed": seed,
            "event": ["phase1_end", "half"],
            "time": time,
        },
    )


def write_sweep(folder):
    folder.mkdir(parents=True)
    write_dataset(folder / "sweep.nc", sweep())
    return folder
