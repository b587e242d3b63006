"""`flowsim gallery`: papers whose statements a run decides."""

import pathlib
from typing import Annotated

import typer

from .. import gallery
from ..config.problems import ended
from . import completion
from . import run as run_command
from . import verify as verify_command
from .command import Debug, Force, Json, Out, Overrides, command
from .output import Output
from .reading import Command

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Which paper; `flowsim gallery` lists them.", autocompletion=completion.papers),
]

papers = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def register(app: typer.Typer) -> None:
    app.add_typer(papers, name="gallery", help="Papers whose statements a run decides: list, show, run, verify.")


@papers.callback()
def _papers(context: typer.Context, json: Json = False, debug: Debug = False) -> None:
    """Papers whose statements a run decides.

    \b
    Examples:
      flowsim gallery
      flowsim gallery show saxe2014
      flowsim gallery verify saxe2014 'problem.strengths=[5, 2, 1]'
    """
    if context.invoked_subcommand is None:
        list_(json=json, quiet=False, verbose=False, debug=debug)


@papers.command("list", cls=Command)
@command
def list_(output: Output) -> None:
    """The papers, one a line."""
    found = gallery.papers()
    width = max(len(paper.name) for paper in found)
    for paper in found:
        output.data(f"{paper.name:<{width}}  {paper.title} ({paper.source})")
    output.document({"papers": [{"name": p.name, "title": p.title, "source": p.source} for p in found]})


@papers.command(cls=Command)
@command
def show(output: Output, name: Name) -> None:
    """A paper's page, and the experiment with its defaults."""
    paper = _paper(name, output)
    experiment = paper.experiment.read_text(encoding="utf8")
    output.data(f"{paper.page.rstrip()}\n\n{paper.experiment.name}:\n\n{experiment.rstrip()}")
    output.document({
        "name": paper.name, "title": paper.title, "source": paper.source, "page": paper.page,
        "experiment": experiment, "folder": str(paper.folder),
    })  # fmt: skip


@papers.command(cls=Command)
@command
def run(output: Output, name: Name, overrides: Overrides = None, out: Out = None, force: Force = False) -> None:
    """Run a paper's experiment, without judging its claims."""
    run_command.execute(_requested(name, overrides, out, output), output, force)


@papers.command(cls=Command)
@command
def verify(output: Output, name: Name, overrides: Overrides = None, out: Out = None, force: Force = False) -> None:
    """Run a paper's experiment and judge its claims.

    The exit code says whether the run went through, not whether the claims hold.

    \b
    Examples:
      flowsim gallery verify saxe2014
      flowsim gallery verify zhang2025 'problem.covariance=[0.5, 0.2, 0.1]' problem.examples=15 --json
    """
    request = _requested(name, overrides, out, output)
    if not force:
        run_command.refuse_used(request.folder, output)
    verify_command.execute(request, output, force)


def _paper(name: str, output: Output) -> gallery.Paper:
    try:
        return gallery.paper(name)
    except gallery.UnknownPaperError as error:
        output.refuse(ended(str(error)))


def _requested(name: str, overrides: list[str] | None, out: pathlib.Path | None, output: Output) -> run_command.Request:
    paper = _paper(name, output)
    paper.register()
    return run_command.requested(paper.experiment, overrides or [], out)
