"""Seconds that JAX spends on tracing and compiling, as it reports them itself."""

import time

import jax.monitoring

_spent = 0.0


def _listen(event: str, duration: float, **_: str | int) -> None:
    global _spent
    if event in ("/jax/core/compile/jaxpr_to_mlir_module_duration", "/jax/core/compile/backend_compile_duration"):
        _spent += duration


jax.monitoring.register_event_duration_secs_listener(_listen)  # pyright: ignore[reportArgumentType]


class Stopwatch:
    """Wall time since construction, compilation apart."""

    def __init__(self):
        self._wall, self._compile = time.perf_counter(), _spent

    def read(self) -> tuple[float, float]:
        """(seconds of compilation, all other seconds)."""
        wall, compiling = time.perf_counter() - self._wall, _spent - self._compile
        return compiling, max(wall - compiling, 0.0)
