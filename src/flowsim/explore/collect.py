"""Stored runs and sweeps as the records that the page draws."""

import dataclasses
from typing import Any

import numpy as np
import xarray

from .._values import brief
from ..store import Run
from ..store.summary import EventSummary
from .pack import Numbers
from .thin import kept

SEEDS = (0.1, 0.5, 0.9)  # of an ensemble: the band and the line
_LINES = 12  # entries that are drawn as lines; the rest of a probe is seen as a map


@dataclasses.dataclass(frozen=True)
class Budget:
    """How many times of a probe the page keeps: of one with few entries, and numbers of one with many."""

    times: int = 2000
    numbers: int = 200_000

    def of(self, entries: int) -> int:
        return self.times if entries <= _LINES else max(min(self.times, self.numbers // entries), 2)

    def halved(self) -> "Budget":
        return Budget(self.times // 2, self.numbers // 2)


def run_record(name: str, run: Run, descents: list[xarray.Dataset], numbers: Numbers, budget: Budget) -> dict[str, Any]:
    """One run: its state, its events with their exact times, its probes, and descent beside it."""
    certificate = None if run.summary is None else run.summary.certificate
    return {
        "name": name,
        "status": "partial" if run.summary is None else run.summary.status,
        "error": None if certificate is None else certificate.relative_error,
        "events": [_event(key, event) for key, event in run.events.items()],
        "series": series(run.dataset, numbers, budget),
        "descents": [
            {"name": str(one.attrs.get("label") or f"descent {k + 1}"), "series": series(one, numbers, budget)}
            for k, one in enumerate(descents)
        ],
    }


def _event(name: str, event: EventSummary) -> dict[str, Any]:
    times = list(event.times) or ([] if event.time is None else [event.time])
    return {
        "name": name,
        "description": event.description,
        "time": event.time,
        "times": times,
        "uncertainty": event.uncertainty,
    }


def series(dataset: xarray.Dataset, numbers: Numbers, budget: Budget) -> dict[str, Any]:
    """Every numeric variable along `time`, with its error band."""
    names = [str(name) for name, values in dataset.data_vars.items() if _drawable(values)]
    bands = {f"{name}_error" for name in names}
    return {name: _series(dataset, name, numbers, budget) for name in names if name not in bands}


def _drawable(values: xarray.DataArray) -> bool:
    return "time" in values.dims and values.sizes["time"] > 0 and values.size > 0 and values.dtype.kind in "fiub"


def _series(dataset: xarray.Dataset, name: str, numbers: Numbers, budget: Budget) -> dict[str, Any]:
    values = dataset[name].astype(float)
    parts = {"values": values}
    seeds = values.sizes.get("seed")
    if seeds:
        spread = values.quantile(SEEDS, dim="seed")
        parts = {key: spread.isel(quantile=k, drop=True) for k, key in enumerate(("low", "values", "high"))}
    elif f"{name}_error" in dataset and dataset[f"{name}_error"].dims == values.dims:
        parts["error"] = dataset[f"{name}_error"].astype(float)
    parts = {key: part.transpose("time", ...) for key, part in parts.items()}
    middle = parts["values"]
    rows = middle.values.reshape(middle.sizes["time"], -1)
    chosen = kept(rows, budget.of(rows.shape[1]))
    attributes = dataset[name].attrs
    return {
        "label": str(attributes.get("long_name") or name),
        "units": str(attributes.get("units") or "1"),
        "dims": [{"name": str(dim), "labels": labels(dataset, str(dim))} for dim in middle.dims[1:]],
        "times": numbers.add(dataset["time"].values[chosen]),
        "saved": int(middle.sizes["time"]),
        "seeds": seeds,
        **{key: numbers.add(part.values[chosen]) for key, part in parts.items()},
    }


def labels(dataset: xarray.Dataset, dim: str) -> list[str]:
    """The labels of an axis as text: numbers as short as they can be told apart by."""
    values = dataset[dim].values if dim in dataset.coords else np.arange(dataset.sizes[dim])
    return [brief(value) for value in values.tolist()]
