"""The version, written once: pyproject.toml and the run folder's `meta.json` read it here."""

__version__ = "0.1.0"
DISTRIBUTION = "gradient-flowsim"  # as it is installed; `flowsim` on the package index is somebody else's
