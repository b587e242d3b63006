"""Where the numbers of a run go while it runs: JSON lines, TensorBoard, Weights & Biases, MLflow, your own.

    flowsim.simulate(problem, t1=300.0, progress=flowsim.loggers.each_row(flowsim.loggers.json_lines("run.jsonl")))

A logger is any function `(time, values)`. Each adapter imports its library when it is called.
"""

from .adapters import json_lines, mlflow, tensorboard, wandb
from .logger import Logger, each_row

__all__ = ["Logger", "each_row", "json_lines", "mlflow", "tensorboard", "wandb"]
