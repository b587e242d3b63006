"""Reading a sweep in Python."""

import pathlib

import xarray

from .._files import StoreError
from .collect import DATASET, collect
from .folder import Sweep
from .state import states


def load_sweep(path: str | pathlib.Path) -> xarray.Dataset:
    """The dataset of a sweep's folder, with a dimension for each axis.

    It is `sweep.nc` as `flowsim collect` wrote it; where there is none, one is written from the members that are done.

    **Raises:** `SweepError` if the folder is not a sweep's; `StoreError` if the file cannot be read or written.
    """
    folder = pathlib.Path(path)
    if not (folder / DATASET).exists():
        sweep = Sweep.read(folder)
        collect(sweep, states(sweep))
    try:
        with xarray.open_dataset(folder / DATASET, engine="h5netcdf") as dataset:
            return dataset.load()
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{folder / DATASET}: cannot be read ({error}); `flowsim collect {folder}` makes it"
        ) from error
