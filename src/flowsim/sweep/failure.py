"""The record of a member that failed before it could write a summary."""

import dataclasses
import datetime
import errno
import socket
from typing import Any

from .._files import StoreError, write_json
from .ended import DISK, Ended
from .folder import Sweep

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def record_failure(sweep: Sweep, ended: Ended) -> Ended:
    """Write why a member failed where `flowsim status` finds it."""
    content: dict[str, Any] = {
        **dataclasses.asdict(ended),
        "host": socket.gethostname(),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    try:
        write_json(sweep.failure(ended.member), content)
    except StoreError as error:
        return Ended(ended.member, DISK, str(error)) if on_full_disk(error) else ended
    return ended


def on_full_disk(error: BaseException | None) -> bool:
    """Was the cause of an error a disk that takes no more, of which the next member would die as well?"""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK:
            return True
        error = error.__cause__
    return False
