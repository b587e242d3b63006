"""Reading netCDF files of unknown origin: only what lies in the file itself, and only what fits."""

import pathlib
from typing import Any

from .._files import RefusedError, refuse_irregular

_LARGEST = 1 << 34  # bytes of all arrays: 16 GiB


def read_dataset(path: pathlib.Path) -> Any:
    """An `xarray.Dataset`, loaded.

    **Raises:** `StoreError` for a file that is damaged or is none, or that refers to other files.
    """
    import xarray  # heavy, and not needed by those who only simulate

    refuse_irregular(path)
    try:
        _refuse_references(path)
        with xarray.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    except RefusedError:
        raise
    except (Exception, MemoryError) as error:  # HDF5 and its readers raise almost any type on a malformed file
        text = " ".join(str(error).split())[:300]
        raise RefusedError(f"{path}: cannot be read as netCDF ({text}); it is damaged") from None


def _refuse_references(path: pathlib.Path) -> None:
    """HDF5 can point to other files, by links, virtual datasets and external storage; flowsim writes plain datasets."""
    import h5py

    total = 0
    with h5py.File(path, "r") as file:
        for name in file:
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                raise RefusedError(f"{path}: {name!r} is a link to elsewhere, which is not followed")
            item = file[name]
            if not isinstance(item, h5py.Dataset):
                raise RefusedError(f"{path}: {name!r} is not an array; this file was not written by flowsim")
            if item.is_virtual or item.external:
                raise RefusedError(f"{path}: {name!r} takes its values from other files, which are not read")
            total += int(item.size or 0) * item.dtype.itemsize
    if total > _LARGEST:
        raise RefusedError(f"{path}: declares {total / 1e9:.0f} GB; at most {_LARGEST / 1e9:.0f} GB are read")
