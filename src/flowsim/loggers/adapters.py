"""Loggers that hand over to other tools. Time has no integer steps there: it is logged as a value of its own."""

import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from .logger import Logger


def json_lines(path: str | os.PathLike) -> Logger:
    """A line of JSON for each saved time, at the end of a file: `{"time": 0.1, "loss": 0.69}`.

    A number that is not finite is null. Each line is whole when it is written, so that `tail -f` shows it.

    **Raises:** `OSError` if the file cannot be written.
    """
    place = pathlib.Path(path)
    place.touch()

    def log(time: float, values: Mapping[str, float]) -> None:
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        with place.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": time, **finite}) + "\n")

    return log


def tensorboard(folder: str | os.PathLike, *, scale: float = 1e6) -> Logger:
    """Scalars for TensorBoard, whose steps are integers: the step is `round(scale · time)`.

    **Raises:** `ImportError` without `tensorboardX` (`python -m pip install tensorboardX`).
    """
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(os.fspath(folder))

    def log(time: float, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, round(scale * time))
        writer.flush()

    return log


def wandb(run: Any) -> Logger:
    """Scalars for a run of Weights & Biases, with `time` as the axis of all of them.

    **Arguments:** `run`: what `wandb.init(…)` gave.
    """
    run.define_metric("time")
    run.define_metric("*", step_metric="time")

    def log(time: float, values: Mapping[str, float]) -> None:
        run.log({"time": time, **values})

    return log


def mlflow(client: Any, run_id: str) -> Logger:
    """Scalars for a run of MLflow, a step for each saved time, with `time` among the metrics.

    **Arguments:** `client`: a `mlflow.MlflowClient`; `run_id`: of a run that is open.
    """
    count = 0

    def log(time: float, values: Mapping[str, float]) -> None:
        nonlocal count
        for name, value in {"time": time, **values}.items():
            client.log_metric(run_id, name, value, step=count)
        count += 1

    return log
