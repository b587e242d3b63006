"""Small pieces of HTML. Every text that comes in is escaped here, so that no caller can forget it."""

import base64
import html
from collections.abc import Iterable, Sequence


class Markup(str):
    """Text that is HTML already: made by the functions below and by nothing else."""

    __slots__ = ()


def safe(text: object) -> Markup:
    """Any text as HTML, with its markup taken away."""
    return text if isinstance(text, Markup) else Markup(html.escape(str(text), quote=True))


def element(tag: str, *content: object, **attributes: str) -> Markup:
    """`<tag …>content</tag>`; content that is not `Markup` is escaped. An attribute `class` is spelled `class_`."""
    written = "".join(f' {name.rstrip("_")}="{safe(value)}"' for name, value in attributes.items())
    return Markup(f"<{tag}{written}>{''.join(map(safe, content))}</{tag}>")


def paragraph(text: object | None) -> Markup:
    """A paragraph, nothing where there is nothing to say."""
    return element("p", text) if text else Markup("")


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> Markup:
    """A table whose rows start with their name; the last column holds remarks when there are three or more."""
    titles = "".join(element("th", title, scope="col") for title in head)
    body = []
    for first, *rest in rows:
        classes = ["value"] * len(rest)
        if len(rest) > 1:
            classes[-1] = "note"
        cells = [element("td", cell, class_=kind) for cell, kind in zip(rest, classes, strict=True)]
        body.append(element("tr", element("th", first, scope="row"), *cells))
    whole = element("table", element("thead", element("tr", Markup(titles))), element("tbody", *body))
    return element("div", whole, class_="scroll")


def picture(png: bytes, alternative: str) -> Markup:
    """A PNG inside the page itself."""
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))  # the header's first two numbers
    source = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return Markup(f'<img src="{source}" alt="{safe(alternative)}" width="{width}" height="{height}">')


def film(gif: bytes, alternative: str) -> Markup:
    """An animation inside the page, folded away: nothing moves before the reader asks for it."""
    width, height = (int.from_bytes(gif[at : at + 2], "little") for at in (6, 8))
    source = "data:image/gif;base64," + base64.b64encode(gif).decode("ascii")
    image = f'<img src="{source}" alt="{safe(alternative)}" width="{width}" height="{height}">'
    return element("details", element("summary", "Show it in motion"), Markup(image))


def section(title: str, *content: object) -> Markup:
    """A heading with what belongs to it; nothing where there is no content."""
    return element("section", element("h2", title), *content) if any(content) else Markup("")
