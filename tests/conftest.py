"""float64, and jaxtyping's shapes checked by beartype at every call of the package."""

import jaxtyping

jaxtyping.install_import_hook("flowsim", "beartype.beartype")

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)
