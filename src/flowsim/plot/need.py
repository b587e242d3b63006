"""What a figure needs of the data, and what is said when it is not there."""

from collections.abc import Sequence

import numpy as np
import xarray


class CannotDraw(ValueError):
    """The data lacks what a figure shows. The message says what; `draw` records it as the reason for skipping."""


def require(dataset: xarray.Dataset, names: Sequence[str]) -> None:
    """Check that the variables are there and that there are enough times for a line.

    **Raises:** `CannotDraw` with the reason.
    """
    missing = [name for name in names if name not in dataset]
    if missing:
        there = ", ".join(str(name) for name in dataset.data_vars) or "nothing"
        raise CannotDraw(f"the trajectory has no {' and no '.join(missing)} (it has {there})")
    times = dataset["time"].values
    if np.sum(times > 0) < 2:
        raise CannotDraw("fewer than two times after t = 0 were saved")


def require_groups(dataset: xarray.Dataset, names: Sequence[str]) -> None:
    """Check that the samples have these groups.

    **Raises:** `CannotDraw` with the reason.
    """
    present = [str(name) for name in dataset["group"].values] if "group" in dataset.coords else []
    missing = [name for name in names if name not in present]
    if missing:
        raise CannotDraw(f"the samples have no group {' and no group '.join(missing)}")
