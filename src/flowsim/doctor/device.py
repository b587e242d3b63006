"""Devices, precision and threads, and how fast one product is."""

import os
import time

import jax
import jax.numpy as jnp
import numpy as np

from .finding import Finding

_SIDE, _REPEATS = 1024, 3
_ROWS, _SMALL = 20_000, 5
_SLOW = {"cpu": 5e9, "gpu": 2e11}  # flop/s of float64 below which something is wrong


def devices() -> Finding:
    """What JAX computes on; an accelerator that JAX cannot use is a warning."""
    found = jax.devices()
    kinds = ", ".join(f"{device.platform}:{device.id} {device.device_kind}" for device in found)
    unused = os.path.exists("/dev/nvidia0") and all(device.platform == "cpu" for device in found)
    remedy = "There is an NVIDIA device that JAX does not use: install the extra `cuda`." if unused else ""
    return Finding("devices", "warning" if unused else "ok", kinds, remedy)


def double_precision() -> Finding:
    """float64: the command line switches it on by the experiment's `precision`, a script has to."""
    if jax.config.jax_enable_x64:
        return Finding("float64", "ok", "on")
    remedy = (
        "`flowsim run` switches it on (`precision: float64`); in Python, before anything else: "
        'jax.config.update("jax_enable_x64", True).'
    )
    return Finding("float64", "note", "off in Python unless a script switches it on", remedy)


def matrix_precision() -> Finding:
    """TF32: float32 products with ten bits, which make adaptive steps collapse."""
    chosen = jax.config.jax_default_matmul_precision
    accelerated = any(device.platform in ("gpu", "tpu") for device in jax.devices())
    if accelerated and chosen not in ("highest", "float32"):
        remedy = "For float32 runs set JAX_DEFAULT_MATMUL_PRECISION=highest: a product then has 24 bits, not 10."
        return Finding("TF32", "warning", "float32 products may be rounded to 10 bits", remedy)
    return Finding("TF32", "ok", f"not used (matrix precision {chosen or 'of the device'})")


def threads() -> Finding:
    """Cores that this process may use, and what limits its threads."""
    cores, allowed = os.cpu_count() or 1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    flags = os.environ.get("XLA_FLAGS", "")
    text = f"{allowed or cores} of {cores} cores" + (f", XLA_FLAGS={flags}" if flags else "")
    if "xla_cpu_multi_thread_eigen=false" in flags.replace(" ", ""):
        remedy = "Remove xla_cpu_multi_thread_eigen from XLA_FLAGS: products use one core."
        return Finding("threads", "warning", text, remedy)
    return Finding("threads", "ok", text)


def float64_product() -> Finding:
    """The time of one product of two square matrices in float64, the best of three."""
    with jax.enable_x64(True):
        matrix = jnp.eye(_SIDE, dtype=jnp.float64) + 1e-3
        product = jax.jit(jnp.matmul)
        product(matrix, matrix).block_until_ready()  # compiles
        taken = []
        for _ in range(_REPEATS):
            start = time.perf_counter()
            product(matrix, matrix).block_until_ready()
            taken.append(time.perf_counter() - start)
    rate = 2 * _SIDE**3 / min(taken)
    text = f"{_SIDE} × {_SIDE}: {1e3 * min(taken):.1f} ms, {rate / 1e9:.0f} Gflop/s"
    slow = rate < _SLOW.get(jax.default_backend(), 0.0)
    remedy = "Is the machine busy? Consumer GPUs compute float64 slowly: JAX_PLATFORMS=cpu may be faster."
    return Finding("float64 product", "warning", text, remedy) if slow else Finding("float64 product", "ok", text)


def compiled_sums() -> Finding:
    """Products with a small matrix, summed: jaxlib 0.10.2 compiles them wrongly for CPUs (jax-ml/jax issue 39103)."""
    with jax.enable_x64(True):
        numbers = np.random.default_rng(0).normal(size=(_ROWS, _SMALL))
        wrong = np.max(np.abs(np.asarray(_sums(numbers)) - numbers.sum(1)))
    if wrong < 1e-9:
        return Finding("compiled sums", "ok", "right")
    remedy = "Install another version of jax and jaxlib: this one computes wrong numbers in silence."
    return Finding("compiled sums", "error", f"wrong by {wrong:.2g}", remedy)


@jax.jit
def _sums(numbers):
    return jnp.sum(numbers @ jnp.full((_SMALL, _SMALL), 1 / _SMALL), 1)


LOOKS = (devices, double_precision, matrix_precision, threads)
MEASUREMENTS = (compiled_sums, float64_product)
