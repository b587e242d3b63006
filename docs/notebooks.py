"""Each tutorial as a notebook beside its page, made from the same source by jupytext when the site is built.

With `repo_url` in `mkdocs.yml` each page also has a badge that opens its notebook in Colab. Colab reads notebooks from
GitHub, and finds them in the branch that `mkdocs gh-deploy` fills; their first cell then installs flowsim from there.
"""

import pathlib
import re
from typing import Any
from urllib.parse import quote, urlsplit

import jupytext
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from nbformat.v4 import new_code_cell

_TUTORIALS = pathlib.Path(__file__).parent / "tutorials"
_SHOWN = re.compile(r'^```python\n--8<-- "(\w+)\.py"\n```$', re.M)
_COLAB = "https://colab.research.google.com/github"
_INSTALL = """\
# On a hosted machine, where flowsim is not installed yet:
%pip install -q git+{url}"""


def on_files(files: Files, config: Any) -> Files:
    """The notebooks, as files of the site."""
    for path in sorted(_TUTORIALS.glob("*.py")):
        made = jupytext.writes(notebook(path, config.repo_url), fmt="ipynb")
        files.append(File.generated(config, f"tutorials/{path.stem}.ipynb", content=made))
    return files


def notebook(path: pathlib.Path, repository: str | None) -> Any:
    """A tutorial's cells, behind one that installs flowsim where there is a repository to install it from."""
    made = jupytext.read(path, fmt="py:percent")
    if repository:
        made.cells.insert(0, new_code_cell(_INSTALL.format(url=repository)))
    return made


def on_page_markdown(markdown: str, config: Any, **_: Any) -> str:
    """Over the code of a tutorial, a link to its notebook, and to a hosted one where there is one."""

    def shown(found: re.Match) -> str:
        links = f"[Take this as a notebook](tutorials/{found[1]}.ipynb)"
        if config.repo_url:
            address = hosted(config.repo_url, config.remote_branch, found[1])
            links += f" [![Open in Colab](images/open-in-colab.svg)]({address})"
        return f"{links}\n\n{found[0]}"

    return _SHOWN.sub(shown, markdown)


def hosted(repository: str, branch: str, tutorial: str) -> str:
    """Where Colab opens a tutorial.

    **Raises:** `PluginError` if the repository is not `https://github.com/OWNER/NAME`.
    """
    address = urlsplit(repository)
    owner, _, name = address.path.strip("/").removesuffix(".git").partition("/")
    if (address.scheme, address.netloc) != ("https", "github.com") or not owner or not name or "/" in name:
        raise PluginError(f"repo_url must be https://github.com/OWNER/NAME, which Colab reads, got {repository!r}.")
    return f"{_COLAB}/{quote(owner)}/{quote(name)}/blob/{quote(branch)}/tutorials/{tutorial}.ipynb"
