"""Records as a person reads them: names and texts in lines, or in a small HTML table."""

import html
from collections.abc import Sequence


def text(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """Rows below a title."""
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:<{width}}  {_cut(value)}" for name, value in rows)])


def table(title: str, rows: Sequence[tuple[str, str]], curve: str = "") -> str:
    """Rows as an HTML table below a title, with a curve."""
    cells = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(_cut(v))}</td></tr>" for k, v in rows)
    return f"<div><strong>{html.escape(title)}</strong>{curve}<table>{cells}</table></div>"


def _cut(value: str, most: int = 200) -> str:
    return value if len(value) <= most else value[: most - 1] + "…"
