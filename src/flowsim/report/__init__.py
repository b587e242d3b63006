"""What a person reads at the end of a run: the page `report.html` and a few lines for the terminal."""

from .descent import lines as descent_lines
from .numbers import solvers
from .page import Illustration, page
from .rebuild import Rebuilt, rebuild, write
from .summary_text import summary_text

__all__ = ["Illustration", "Rebuilt", "descent_lines", "page", "rebuild", "solvers", "summary_text", "write"]
