"""Papers whose statements a run decides: one folder each, with its kinds and claims, experiment, page and figure.

A paper's module is what a user's plugin is: `flowsim gallery verify NAME` does what
`flowsim verify NAME/experiment.yaml --plugin NAME/NAME.py` does.
"""

import dataclasses
import pathlib
import sys
from types import ModuleType

from ..config.names import meant
from ..plugin import load

FOLDER = pathlib.Path(__file__).parent


class UnknownPaperError(ValueError):
    """No paper of that name is in the gallery."""


@dataclasses.dataclass(frozen=True)
class Paper:
    """A paper of the gallery.

    **Fields:** `name`: of its folder; `title`, `source`: of the paper, from the head of its page.
    """

    name: str
    title: str
    source: str

    @property
    def folder(self) -> pathlib.Path:
        return FOLDER / self.name

    @property
    def experiment(self) -> pathlib.Path:
        """The experiment file with the defaults."""
        return self.folder / "experiment.yaml"

    @property
    def plugin(self) -> pathlib.Path | None:
        """The module that registers the paper's kinds; None if the paper's kinds are flowsim's own."""
        path = self.folder / f"{self.name}.py"
        return path if path.is_file() else None

    @property
    def page(self) -> str:
        """What the paper says, what was measured, and where it fails."""
        return (self.folder / "page.md").read_text(encoding="utf8")

    def register(self) -> None:
        """Make the paper's kinds known."""
        load([] if self.plugin is None else [self.plugin])


def papers() -> list[Paper]:
    """Every paper, in the order of names."""
    return [_read(path.parent) for path in sorted(FOLDER.glob("*/page.md"))]


def paper(name: str) -> Paper:
    """The paper of a name.

    **Raises:** `UnknownPaperError` with the nearest names.
    """
    found = {one.name: one for one in papers()}
    if name not in found:
        raise UnknownPaperError(f"{name!r} is not in the gallery; {meant(name, list(found))}")
    return found[name]


def module(name: str) -> ModuleType:
    """A paper's module, to use its problem and claims in Python: `module("saxe2014").Saxe2014(depth=3)`.

    **Raises:** `UnknownPaperError`; `ValueError` for a paper whose kinds are flowsim's own.
    """
    path = paper(name).plugin
    if path is None:
        raise ValueError(f"the kinds of {name} are flowsim's own; it has no module.")
    load([path])
    return next(m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == str(path.resolve()))


def _read(folder: pathlib.Path) -> Paper:
    """Title and source are the page's first two lines that say something."""
    text = (folder / "page.md").read_text(encoding="utf8")
    title, source = [line.strip() for line in text.splitlines() if line.strip()][:2]
    return Paper(folder.name, title.removeprefix("# "), source.strip("*"))
