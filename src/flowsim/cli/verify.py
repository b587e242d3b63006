"""`flowsim verify`: claims, each with a number and a verdict."""

import shutil
import textwrap
from collections.abc import Mapping
from typing import Any

import typer

from .command import ExperimentFile, Force, Out, Overrides, Resume, command
from .output import NUMERICAL, Output
from .progress import loading, progress, telling
from .run import Request, asked_for, ending, refuse_used


@command(plugins=True)
def verify(
    output: Output,
    experiment: ExperimentFile = None,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = None,
    force: Force = False,
) -> None:
    """Judge an experiment's `claims`, or without any the home paper's, over its `seeds` and its `scaling`.

    The exit code says whether the runs went through, not whether the claims hold.

    \b
    Examples:
      flowsim verify verify_theory_regime.yaml
      flowsim verify figure1.yaml 'seeds=10' 'descent=[]' --json
      flowsim verify mine.yaml --plugin mine.py
      flowsim verify --resume runs/figure1/2026-01-31T12-00-00Z-1a2b
    """
    request = asked_for(output, "verify", experiment, overrides, out, resume, force)
    if not force and not request.resume:
        refuse_used(request.folder, output)
    execute(request, output, force)


def execute(request: Request, output: Output, force: bool) -> None:
    """Run, judge, and print the verdicts."""
    with loading(quiet=output.quiet):
        from ..sweep.verify import verify_experiment  # loads JAX and the whole simulator

    with ending(output), progress(quiet=output.quiet) as shown, telling(shown, verbose=output.verbose):
        verified = verify_experiment(
            request.source,
            request.folder,
            resume=request.resume,
            force=force,
            progress=shown.update,
            say=shown.say,
            stage=shown.doing,
        )
    output.data(_table(verified.claims["claims"]))
    output.say(f"report: {verified.folder / 'report.html'}")
    output.document({**verified.claims, "folder": str(verified.folder)})
    if not verified.ok:
        raise typer.Exit(NUMERICAL)


def _table(claims: list[Mapping[str, Any]]) -> str:
    """One claim after the other: id, verdict and share in columns, the numbers below."""
    from ..report import claims as words

    width = max(len(claim["id"]) for claim in claims)
    columns = shutil.get_terminal_size((110, 24)).columns
    lines = []
    for claim in claims:
        share = words.share(claim)
        lines.append(f"{claim['id']:<{width}}  {claim['verdict']:<19}{'' if share == '–' else share}".rstrip())
        indent = " " * (width + 2)
        lines += textwrap.wrap(words.numbers(claim), max(columns, 60), initial_indent=indent, subsequent_indent=indent)
    return "\n".join(lines)
