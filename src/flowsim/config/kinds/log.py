"""`log`: loggers, called with every saved time of a run while it runs."""

import atexit
import importlib.util
import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar

from ..base import about
from ..kind import Kind, kind


class Needs(Kind):
    """A logger of another tool, whose library comes with the tool."""

    library: ClassVar[str]

    def try_files(self, experiment: Any, folder: pathlib.Path) -> Iterator[tuple[str, str]]:
        if importlib.util.find_spec(self.library) is None:
            yield "kind", f"needs {self.library}, which is not installed: python -m pip install {self.library}"


@kind("log", "json_lines")
class JsonLines(Kind):
    """A line of JSON for each saved time, added to a file."""

    path: str = about("The file; relative to the experiment's folder.", "run.jsonl", example="run.jsonl")

    def build(self, context: Any) -> Any:
        from ...loggers import json_lines

        return json_lines(context.path(self.path))


@kind("log", "tensorboard")
class TensorBoard(Needs):
    """Scalars for TensorBoard; needs tensorboardX."""

    library: ClassVar[str] = "tensorboardX"

    path: str = about("The log folder; relative to the experiment's folder.", "tensorboard", example="tensorboard")
    scale: float = about("The step is scale times the time, rounded.", 1.0e6, gt=0, example=1.0e6, unit="steps/time")

    def build(self, context: Any) -> Any:
        from ...loggers import tensorboard

        return tensorboard(context.path(self.path), scale=self.scale)


@kind("log", "wandb")
class WeightsAndBiases(Needs):
    """Scalars for Weights & Biases; needs wandb, and its settings in the environment."""

    library: ClassVar[str] = "wandb"

    project: str = about("The project.", "flowsim", example="flowsim")

    def build(self, context: Any) -> Any:
        import wandb

        from ...loggers import wandb as logger

        return logger(wandb.init(project=self.project, name=context.experiment.name))


@kind("log", "mlflow")
class MLflow(Needs):
    """Scalars for MLflow; needs mlflow, and its settings in the environment."""

    library: ClassVar[str] = "mlflow"

    experiment: str = about("The experiment's name there.", "flowsim", example="flowsim")

    def build(self, context: Any) -> Any:
        from mlflow import MlflowClient

        from ...loggers import mlflow

        client = MlflowClient()
        found = client.get_experiment_by_name(self.experiment)
        number = found.experiment_id if found is not None else client.create_experiment(self.experiment)
        run = client.create_run(number, run_name=context.experiment.name).info.run_id
        atexit.register(client.set_terminated, run)  # as wandb ends its runs: with the process
        return mlflow(client, run)
