"""At which times a run saves its probes."""

import numpy as np


def log_times(t1: float, *, points: int = 200, first: float | None = None) -> np.ndarray:
    """0, then `points` times from `first` (1e-3, or t1/1000 if smaller) to `t1` in equal ratios.

    **Raises:** `ValueError` for a `t1` so small that t1/1000 is no number.
    """
    start = min(1e-3, t1 * 1e-3) if first is None else first
    if not start > 0:
        raise ValueError(f"t1 = {t1:g} is too small for times in equal ratios: give the times to save.")
    return with_ends(np.geomspace(start, t1, points), t1)


def linear_times(t1: float, *, points: int = 200) -> np.ndarray:
    """`points` times from 0 to `t1` in equal steps."""
    return with_ends(np.linspace(0.0, t1, points), t1)


def continued(times: np.ndarray, t1: float) -> np.ndarray:
    """Times after the last one of a run up to a later `t1`, in the ratio of its last two: 10 to 200 of them."""
    last = times[-1]
    ratio = last / times[-2] if len(times) > 1 and times[-2] > 0 else 1.1
    number = int(np.clip(np.ceil(np.log(t1 / last) / np.log(max(ratio, 1 + 1e-9))), 10, 200))
    return np.geomspace(last, t1, number + 1)[1:] if last > 0 else np.linspace(last, t1, number + 1)[1:]


def with_ends(times, t1: float, t0: float = 0.0) -> np.ndarray:
    """The given times with `t0` and `t1` added where they are missing.

    **Raises:** `ValueError` if a time is not finite, is out of order, or lies outside [t0, t1].
    """
    times = np.asarray(times, np.float64).ravel()
    if not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0):
        raise ValueError("save times must be finite and strictly increasing.")
    if times.size and (times[0] < t0 or times[-1] > t1 * (1 + 1e-12)):
        raise ValueError(f"save times must lie in [{t0:g}, t1 = {t1:g}], got {times[0]:g} … {times[-1]:g}.")
    inner = times[(times > t0) & (times < t1 * (1 - 1e-12))]
    return np.concatenate([[t0], inner, [t1]])
