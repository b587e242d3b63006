"""One run on several devices."""

from .shard import shard

__all__ = ["shard"]
