"""The version, written once: pyproject.toml and the run folder's `meta.json` read it here."""

__version__ = "0.1.0"
