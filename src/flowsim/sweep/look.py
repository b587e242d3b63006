"""What has become of the members, with what queues say of them."""

from .folder import Sweep
from .place import PlaceError
from .slurm import queued
from .state import States, states


def look(sweep: Sweep) -> tuple[States, str]:
    """The states now, and why they are those of the folders alone where a queue does not answer; else an empty text."""
    try:
        return states(sweep, queued(sweep)), ""
    except PlaceError as error:
        return states(sweep), str(error)
