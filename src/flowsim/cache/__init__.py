"""Compiled programs kept on disk, so that the next process does not compile them again: `flowsim.cache.enable()`.

The command line does so by itself. The environment variable `FLOWSIM_CACHE` overrides it: `0` switches it off, a path
says where.
"""

from .enable import enable, enable_quietly
from .place import VARIABLE, Usage, clear, opened, place, usage
from .programs import SIZE

__all__ = ["SIZE", "VARIABLE", "Usage", "clear", "enable", "enable_quietly", "opened", "place", "usage"]
