"""Each tutorial as a notebook beside its page, made from the same source by jupytext when the site is built."""

import pathlib
import re
from typing import Any

import jupytext
from mkdocs.structure.files import File, Files

_TUTORIALS = pathlib.Path(__file__).parent / "tutorials"
_SHOWN = re.compile(r'^```python\n--8<-- "(\w+)\.py"\n```$', re.M)


def on_files(files: Files, config: Any) -> Files:
    """The notebooks, as files of the site."""
    for path in sorted(_TUTORIALS.glob("*.py")):
        notebook = jupytext.read(path, fmt="py:percent")
        made = jupytext.writes(notebook, fmt="ipynb")
        files.append(File.generated(config, f"tutorials/{path.stem}.ipynb", content=made))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A link to its notebook over the code of a tutorial."""
    return _SHOWN.sub(lambda found: f"[Take this as a notebook](tutorials/{found[1]}.ipynb)\n\n{found[0]}", markdown)
