"""One thing that does not hold between an experiment's values."""

from typing import NamedTuple

from .problems import ended


class Remark(NamedTuple):
    """What the value at `path` must be, and what to do; the value itself is put between where the remark is shown."""

    path: tuple[str | int, ...]
    message: str
    remedy: str = ""

    def text(self, given: str | None) -> str:
        """The whole sentence. `given`: the value as it was written, None to leave it out."""
        got = "" if given is None else f", got {given}"
        return ended(f"{self.message}{got}{': ' if self.remedy else ''}{self.remedy}")
