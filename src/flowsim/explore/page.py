"""The page itself: everything inside, nothing from elsewhere, and a policy that lets nothing else run."""

import base64
import functools
import hashlib
import importlib.resources

import jinja2
import markupsafe

from .pack import compressed

_SCRIPTS = ("1-data.js", "2-look.js", "3-curves.js", "4-maps.js", "5-sweep.js", "6-main.js")


def page(title: str, data: str, plotly: str) -> str:
    """The HTML.

    **Arguments:** `title`: any text; `data` as `pack.packed` gives it; `plotly`: the plotting script's source.
    """
    script = '"use strict";\n' + "\n".join(_asset(name) for name in _SCRIPTS)
    css = _asset("page.css")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(_asset("page.html")).render(
        policy=_policy([script, plotly], [css, *_STYLES]),
        title=title,
        css=markupsafe.Markup(css),
        script=markupsafe.Markup(script),
        plotly=_script(plotly),
        data=data,
    )


_STYLES = ("",)  # the empty style element that Plotly makes, and fills through the object model


def _policy(scripts: list[str], styles: list[str]) -> str:
    """A browser runs these scripts and no other, and loads nothing from anywhere."""
    allowed = {"script-src": scripts, "style-src": styles}
    hashes = {kind: " ".join(f"'sha256-{_digest(text)}'" for text in texts) for kind, texts in allowed.items()}
    return (
        f"default-src 'none'; script-src {hashes['script-src']}; style-src {hashes['style-src']}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


@functools.lru_cache(maxsize=1)
def _script(source: str) -> str:
    return compressed(source.encode("utf-8"))


@functools.cache
def _asset(name: str) -> str:
    return importlib.resources.files(__package__).joinpath("assets", name).read_text("utf-8")
