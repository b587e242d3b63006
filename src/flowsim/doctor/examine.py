"""Everything that is looked at, in the order in which a person asks."""

from . import device, system
from .finding import Finding


def examine(*, quick: bool = False) -> list[Finding]:
    """Look at this machine.

    **Arguments:** `quick`: leave out what compiles a program.

    **Returns:** a finding for each thing, those with a state other than `ok` with the remedy.
    """
    looks = [*system.LOOKS, *device.LOOKS, *([] if quick else device.MEASUREMENTS)]
    return [_guarded(look) for look in looks]


def _guarded(look) -> Finding:
    """A finding even where looking fails: that is what this command is for."""
    try:
        return look()
    except Exception as problem:  # whatever a broken installation raises
        text = " ".join(str(problem).split()) or type(problem).__name__
        return Finding(look.__name__.replace("_", " "), "error", f"cannot be examined: {text}", _REINSTALL)


_REINSTALL = "Install flowsim afresh: python -m pip install --force-reinstall --no-cache-dir and what you installed."
