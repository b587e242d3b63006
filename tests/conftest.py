"""float64, and jaxtyping's shapes checked by beartype at every call of the package."""

import jaxtyping

jaxtyping.install_import_hook("flowsim", "beartype.beartype")

import jax  # noqa: E402
import pytest  # noqa: E402

from . import figure_data  # noqa: E402

jax.config.update("jax_enable_x64", True)


@pytest.fixture(scope="session", name="dataset")
def _dataset():
    return figure_data.dataset()


@pytest.fixture(scope="session", name="events")
def _events():
    return figure_data.events()
