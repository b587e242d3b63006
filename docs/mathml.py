"""Formulas of the pages as MathML, which browsers typeset by themselves: no script, no font, no network."""

import re
from html import unescape

from latex2mathml.converter import convert

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def on_page_content(html: str, **_) -> str:
    """What MkDocs calls with the HTML of every page."""
    html = _DISPLAY.sub(lambda found: _mathml(found[1], "block"), html)
    return _INLINE.sub(lambda found: _mathml(found[1], "inline"), html)


def _mathml(latex: str, display: str) -> str:
    return convert(unescape(latex).strip(), display=display)
