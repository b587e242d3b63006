"""`log`: loggers, called with every saved time of a run while it runs."""

from typing import Any

from ..base import about
from ..kind import Kind, kind


@kind("log", "json_lines")
class JsonLines(Kind):
    """A line of JSON for each saved time, added to a file."""

    path: str = about("The file; relative to the experiment's folder.", "run.jsonl", example="run.jsonl")

    def build(self, context: Any) -> Any:
        from ...loggers import json_lines

        return json_lines(context.path(self.path))


@kind("log", "tensorboard")
class TensorBoard(Kind):
    """Scalars for TensorBoard; needs tensorboardX."""

    path: str = about("The log folder; relative to the experiment's folder.", "tensorboard", example="tensorboard")
    scale: float = about("The step is scale times the time, rounded.", 1.0e6, gt=0, example=1.0e6, unit="steps/time")

    def build(self, context: Any) -> Any:
        from ...loggers import tensorboard

        return tensorboard(context.path(self.path), scale=self.scale)


@kind("log", "wandb")
class WeightsAndBiases(Kind):
    """Scalars for Weights & Biases; needs wandb, and its settings in the environment."""

    project: str = about("The project.", "flowsim", example="flowsim")

    def build(self, context: Any) -> Any:
        import wandb

        from ...loggers import wandb as logger

        return logger(wandb.init(project=self.project, name=context.experiment.name))


@kind("log", "mlflow")
class MLflow(Kind):
    """Scalars for MLflow; needs mlflow, and its settings in the environment."""

    experiment: str = about("The experiment's name there.", "flowsim", example="flowsim")

    def build(self, context: Any) -> Any:
        from mlflow import MlflowClient

        from ...loggers import mlflow

        client = MlflowClient()
        found = client.get_experiment_by_name(self.experiment)
        number = found.experiment_id if found is not None else client.create_experiment(self.experiment)
        return mlflow(client, client.create_run(number, run_name=context.experiment.name).info.run_id)
