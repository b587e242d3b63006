"""`flowsim doctor`: what this machine offers, what would go wrong, and the remedy."""

import dataclasses
from typing import Annotated

import typer

from .command import command
from .output import Output

_MARKS = {"ok": "ok  ", "note": "note", "warning": "WARN", "error": "FAIL"}


@command
def doctor(
    output: Output,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what needs JAX to compile.")] = False,
    clear_cache: Annotated[bool, typer.Option("--clear-cache", help="Remove the compiled programs first.")] = False,
) -> None:
    """Look at devices, precision, versions, caches, disk and clusters: what would go wrong, and the remedy.

    Exit code 1 if something would fail.

    \b
    Examples:
      flowsim doctor
      flowsim doctor --json
      flowsim doctor --clear-cache
    """
    from .. import cache  # loads JAX
    from ..doctor import examine

    if clear_cache and (root := cache.place()) is not None:
        gone = cache.clear(root)
        output.say(f"{gone.programs} compiled programs removed from {root} ({gone.bytes / 1e6:.0f} MB)")
    findings = examine(quick=quick)
    for finding in findings:
        output.data(f"{_MARKS[finding.state]}  {finding.name}: {finding.found}")
        if finding.remedy:
            output.data(f"      {finding.remedy}")
    worst = "failed" if any(finding.state == "error" for finding in findings) else "done"
    output.document({"status": worst, "findings": [dataclasses.asdict(finding) for finding in findings]})
    if worst == "failed":
        raise typer.Exit(1)
