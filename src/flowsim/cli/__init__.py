"""The command line: arguments, printing, exit codes. No numerics."""

from .app import main

__all__ = ["main"]
