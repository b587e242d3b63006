"""Aliases that all figures share."""

from collections.abc import Mapping
from typing import Any, Literal

TimeAxis = Literal["log", "linear"]
Events = Mapping[str, Any]  # name -> {"time": …, "times": […], …} as in summary.json, or name -> result.EventRecord
