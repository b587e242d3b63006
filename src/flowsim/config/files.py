"""The files that an experiment names: do they exist, and do they hold what the experiment says?"""

import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .array_files import ArrayErrors
from .arrays import load_embedding, load_task_arrays, load_weights
from .kinds.init import FileInit
from .kinds.model import CooccurrenceTransformer
from .kinds.task import CooccurrenceTask, FileTask
from .problems import Problem, dotted
from .yaml_source import Document, Path


def problems(sound: Mapping[str, Any], document: Document, folder: pathlib.Path) -> Iterator[Problem]:
    """What is wrong with the files, at the keys that name them. `sound`: the sections that hold no error."""
    task, init, model = sound.get("task"), sound.get("init"), sound.get("model")
    if isinstance(task, FileTask):
        yield from _try(document, ("task", "path"), lambda: load_task_arrays(folder / task.path, task.vocabulary))
    if isinstance(task, CooccurrenceTask) and task.embedding is not None:
        path = folder / task.embedding
        yield from _try(document, ("task", "embedding"), lambda: load_embedding(path, task.vocabulary))
    if isinstance(init, FileInit):
        papers = isinstance(model, CooccurrenceTransformer)
        sizes = {"width": model.width, "neurons": model.neurons} if papers else {}
        vocabulary = getattr(task, "vocabulary", None)
        sizes |= {} if vocabulary is None else {"vocabulary": vocabulary}
        yield from _try(document, ("init", "path"), lambda: load_weights(folder / init.path, **sizes))


def _try(document: Document, path: Path, load: Callable[[], object]) -> Iterator[Problem]:
    try:
        load()
    except ArrayErrors as error:
        for message in error.messages:
            yield Problem(document.place(path), dotted(path), f"{message}.")
