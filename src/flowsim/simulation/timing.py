"""Seconds that JAX spends on tracing and compiling, as it reports them itself."""

import time

import jax.monitoring

_STAGES = frozenset(
    f"/jax/core/compile/{stage}_duration" for stage in ("jaxpr_trace", "jaxpr_to_mlir_module", "backend_compile")
)
_spent = 0.0
_last: list[tuple[float, float]] = []  # (start, seconds) of what was reported last


def _listen(event: str, duration: float, **_: str | int) -> None:
    """Add up the time, but once where a stage ran inside another: tracing reports a function and those it calls."""
    global _spent
    if event not in _STAGES:
        return
    start = time.perf_counter() - duration
    while _last and _last[-1][0] >= start:
        _spent -= _last.pop()[1]
    _spent += duration
    _last.append((start, duration))
    del _last[:-64]


jax.monitoring.register_event_duration_secs_listener(_listen)  # pyright: ignore[reportArgumentType]


class Stopwatch:
    """Wall time since construction, compilation apart."""

    def __init__(self):
        self._wall, self._compile = time.perf_counter(), _spent

    def read(self) -> tuple[float, float]:
        """(seconds of tracing and compilation, all other seconds)."""
        wall, compiling = time.perf_counter() - self._wall, _spent - self._compile
        return compiling, max(wall - compiling, 0.0)
