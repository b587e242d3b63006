"""One thing that was looked at."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was found, and what to do about it.

    **Fields:** `state`: `ok`; `note` (worth knowing); `warning` (slower or less exact than it could be); `error`
    (a run would fail).
    """

    name: str
    state: str
    found: str
    remedy: str = ""
