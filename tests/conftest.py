"""float64, jaxtyping's shapes checked by beartype at every call of the package, and compiled programs shared."""

import os
import shutil
import tempfile

import jaxtyping
import pytest

# Workers, and the commands that tests start, take programs from each other instead of compiling them again.
_CACHE = "JAX_COMPILATION_CACHE_DIR"
_OURS = _CACHE not in os.environ
if _OURS:
    os.environ[_CACHE] = tempfile.mkdtemp(prefix="flowsim-tests-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

# Most of the suite's time is XLA compiling programs that run once: its costly passes do not pay there. Modules that
# look at the last bit, at what is not finite, or at what other processes wrote are compiled as users compile.
_AS_USERS = ("test_status", "test_auto", "test_store")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import jax  # noqa: E402 (it reads the variables above when it is imported)

if "FLOWSIM_TESTS_UNTYPED" not in os.environ:  # instrumenting every module takes ten seconds: `tests.mutants` does not
    jaxtyping.install_import_hook("flowsim", "beartype.beartype")

from flowsim._jit import OLDER_EMITTER, known  # noqa: E402

from . import figure_data  # noqa: E402

# Modules for the inner loop: all rooms, a minute in all (`python -m pytest -m quick`).
_QUICK = (
    "test_clock", "test_config_arrays", "test_config_load", "test_config_schema", "test_config_source",
    "test_dense_output", "test_git_state", "test_lean", "test_mutants", "test_oracles", "test_signals", "test_spectra",
    "test_status", "test_tasks", "test_versions",
)  # fmt: skip

# Most of what is left is XLA's emitter of fused loops. A version that does not know the flag would abort on it, so the
# process that starts the workers asks first.
if "PYTEST_XDIST_WORKER" not in os.environ and "XLA_FLAGS" not in os.environ and known(OLDER_EMITTER):
    os.environ["XLA_FLAGS"] = " ".join(f"--{name}={str(on).lower()}" for name, on in OLDER_EMITTER.items())

jax.config.update("jax_enable_x64", True)


def pytest_collection_modifyitems(items):
    seen = set()
    for item in items:
        if _is_long(item, seen):
            item.add_marker("slow")
        if item.module.__name__.split(".")[-1] in _QUICK and item.get_closest_marker("slow") is None:
            item.add_marker("quick")


def _is_long(item, seen):
    """Does a test use a fixture that takes long, or is it one of many parameters behind the first?"""
    name = (item.module.__name__, item.originalname)
    further = name in seen and item.get_closest_marker("thorough") is not None
    seen.add(name)
    return further or bool(set(getattr(item.module, "LONG_FIXTURES", ())) & set(item.fixturenames))


def pytest_unconfigure():
    if _OURS:
        shutil.rmtree(os.environ[_CACHE], ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _compile_as_users_do(request):
    if request.module.__name__.split(".")[-1] not in _AS_USERS:
        yield
        return
    before, name = os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"], "jax_disable_most_optimizations"
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "0"  # for the processes that these tests start
    jax.config.update(name, False)
    yield
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = before
    jax.config.update(name, before == "1")


@pytest.fixture(scope="module", autouse=True)
def _forget_programs(_compile_as_users_do):
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
