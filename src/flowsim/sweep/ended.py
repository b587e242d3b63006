"""How the work on a member ended, as processes report it to each other."""

import dataclasses
import json
from typing import Any

DONE, FAILED, BUSY, INTERRUPTED, DISK = "done", "failed", "busy", "interrupted", "disk"


@dataclasses.dataclass(frozen=True)
class Ended:
    """**Fields:** `state`: done; failed, with the `reason`; busy: another process runs it; interrupted by `signal`,
    `abandoned`: with a computation left in the background; disk: it cannot be written, nor can any other."""

    member: str
    state: str
    reason: str = ""
    signal: int = 0
    abandoned: bool = False

    def line(self) -> str:
        return json.dumps(dataclasses.asdict(self)) + "\n"

    @staticmethod
    def of_run(member: str, complete: bool, message: str) -> "Ended":
        """A run that has ended: also one whose numbers failed, which would fail again."""
        return Ended(member, DONE) if complete else Ended(member, FAILED, message)

    @staticmethod
    def of_line(line: str | bytes) -> "Ended":
        record: dict[str, Any] = json.loads(line)
        return Ended(**record)
