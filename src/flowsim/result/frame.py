"""Saved probes as a table, for tools that know no axes but columns."""

import itertools


def to_frame(dataset):
    """A `pandas.DataFrame` with a row for each saved time and a column for each entry of each probe.

    A probe with axes gives a column for each entry, `attention_score[key_word=0,query_word=2]`; error bands are
    columns too, `loss_error`.

    **Arguments:** `dataset`: as `trajectory.nc`.
    """
    import pandas  # as xarray is: kept out of `import flowsim`

    columns = {}
    for name, values in dataset.data_vars.items():
        if "time" not in values.dims:
            continue
        axes = [dim for dim in values.dims if dim != "time"]
        labels = [values[axis].values.tolist() for axis in axes]
        places = itertools.product(*(range(len(label)) for label in labels))
        for place, where in zip(itertools.product(*labels), places, strict=True):
            said = ",".join(f"{axis}={label}" for axis, label in zip(axes, place, strict=True))
            column = values.isel(dict(zip(axes, where, strict=True))).values
            columns[f"{name}[{said}]" if said else str(name)] = column
    return pandas.DataFrame(columns, index=pandas.Index(dataset["time"].values, name="time"))
