"""Fewer times where a series has more than a screen can show, without losing an extreme."""

import numpy as np
from jaxtyping import Float, Int


def kept(values: Float[np.ndarray, "time entries"], most: int) -> Int[np.ndarray, " kept"]:
    """Indices of at most `most` times that keep the first, the last, and every entry's extremes in every bucket.

    Neighboring times share a bucket; of each bucket the times of the smallest and the largest value of every entry
    are kept. With many entries the buckets get so few that the film is thinned evenly instead.

    **Arguments:** `values`: what is drawn, a column for each line.
    """
    count, entries = values.shape
    if count <= most:
        return np.arange(count)
    buckets = (most - 2) // (2 * entries)
    if buckets < 8:
        return np.unique(np.linspace(0, count - 1, most).round().astype(int))
    found = {0, count - 1}
    finite = np.where(np.isfinite(values), values, 0.0)
    for part in np.array_split(np.arange(count), buckets):
        found.update((part[0] + np.argmin(finite[part], axis=0)).tolist())
        found.update((part[0] + np.argmax(finite[part], axis=0)).tolist())
    return np.array(sorted(found))
