"""Aliases that all figures share."""

from collections.abc import Mapping
from typing import Any

Events = Mapping[str, Any]  # name -> anything that `drawing.first_time` reads
