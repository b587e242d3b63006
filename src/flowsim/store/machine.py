"""What a run ran on."""

import importlib.metadata
import os
import platform
from typing import Any

import jax

from .._version import __version__

_PACKAGES = ("jax", "jaxlib", "diffrax", "equinox", "optimistix", "lineax", "optax", "numpy", "scipy")
# Variables that change results or speed. An allow-list: an environment also holds secrets.
_ENVIRONMENT = ("JAX_PLATFORMS", "JAX_ENABLE_X64", "XLA_FLAGS", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")


def versions() -> dict[str, str]:
    """Versions of everything that touches the numbers, flowsim's among them."""
    return {"flowsim": __version__, **_others()}


def _others() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def environment() -> dict[str, Any]:
    """Machine, device and the allow-listed variables."""
    device = jax.devices()[0]
    return {
        "flowsim": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
        "cores": os.cpu_count(),
        "versions": _others(),
        "environment": {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
    }
