"""What a kind's `build` is given."""

import dataclasses
import pathlib
import zlib
from typing import Any


@dataclasses.dataclass(frozen=True)
class Context:
    """An experiment on its way to a problem.

    **Fields:**

    - `experiment`: the checked experiment.
    - `folder`: where its file is; paths in it start there.
    - `task`, `model`, `problem`: what has been built so far; None before that.
    """

    experiment: Any
    folder: pathlib.Path = pathlib.Path()
    task: Any = None
    model: Any = None
    problem: Any = None

    def path(self, text: str) -> pathlib.Path:
        """A path that the experiment names, which is relative to its file."""
        return self.folder / text

    def key(self, stream: str) -> Any:
        """The random key of a named stream: drawing more from one never shifts another."""
        return self.stream(self.experiment.seed, stream)

    @staticmethod
    def stream(seed: int, name: str) -> Any:
        """The key of a named stream of a seed."""
        import jax  # here, as configurations are read without JAX

        return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()) & 0x7FFFFFFF)

    def with_(self, **built: Any) -> "Context":
        """The same with more of it built."""
        return dataclasses.replace(self, **built)
