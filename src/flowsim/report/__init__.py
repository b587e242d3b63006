"""What a person reads at the end of a run: the page `report.html` and a few lines for the terminal."""

from ._numbers import solvers
from .page import Illustration, page
from .rebuild import Rebuilt, rebuild, write
from .summary_text import summary_text

__all__ = ["Illustration", "Rebuilt", "page", "rebuild", "solvers", "summary_text", "write"]
