"""float64, jaxtyping's shapes checked by beartype at every call of the package, and compiled programs shared."""

import os
import shutil
import tempfile

import jaxtyping

# Workers, and the commands that tests start, take programs from each other instead of compiling them again.
_CACHE = "JAX_COMPILATION_CACHE_DIR"
_OURS = _CACHE not in os.environ
if _OURS:
    os.environ[_CACHE] = tempfile.mkdtemp(prefix="flowsim-tests-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

# Most of the suite's time is XLA compiling programs that run once: its costly passes do not pay here. The source is the
# same; what depends on speed is in `benchmarks/`.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

jaxtyping.install_import_hook("flowsim", "beartype.beartype")

import jax  # noqa: E402
import pytest  # noqa: E402

from . import figure_data  # noqa: E402

jax.config.update("jax_enable_x64", True)


def pytest_unconfigure():
    if _OURS:
        shutil.rmtree(os.environ[_CACHE], ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
    """Drop a module's compiled programs after it.

    Each maps some memory pages of its own. A worker that keeps all of them comes to the kernel's limit of 65 530
    mappings (`vm.max_map_count`), where XLA's next compilation ends in a segmentation fault.
    """
    yield
    jax.clear_caches()


@pytest.fixture(scope="session", name="dataset")
def _dataset():
    return figure_data.dataset()


@pytest.fixture(scope="session", name="events")
def _events():
    return figure_data.events()
