"""`flowsim report`: figures and report of a run folder, made again."""

import dataclasses
import pathlib
from typing import Annotated, Any

import typer

from .command import command
from .output import Output


@command
def report(
    output: Output,
    folders: Annotated[list[pathlib.Path], typer.Argument(metavar="DIR…", help="A run folder, or several to compare.")],
    out: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Of several: the page; comparison.html beside the first DIR if not given."
        ),
    ] = None,
) -> None:
    """Rebuild the figures and the report of a run folder from its data; of several, compare them on one page.

    \b
    Examples:
      flowsim report runs/figure1/2026-01-31T12-00-00Z-1a2b
      flowsim report runs/wide runs/narrow
    """
    for folder in folders:
        if not (folder / "meta.json").exists():
            output.refuse(f"{folder} is not a run folder: it holds no meta.json.")
    if len(folders) == 1:
        if out is not None:
            output.refuse("--out is for several run folders: the report of one is in its folder.")
        _rebuild(folders[0], output)
    else:
        _compare(folders, out or folders[0].resolve().parent / "comparison.html", output)


def _rebuild(folder: pathlib.Path, output: Output) -> None:
    from ..report import rebuild  # these load the plotting stack and JAX
    from ..store import load

    run = load(folder)
    for problem in run.problems:
        output.say(f"left out: {problem}")
    if run.summary is None:
        output.say(f"the run is partial: it reached t = {_reached(run.dataset):g}. `flowsim run --resume {folder}`")
    rebuild(folder, dataset=run.dataset, events=run.events)
    output.data(str(folder / "report.html"))
    status = "partial" if run.summary is None else "done"
    output.document({"status": status, "folder": str(folder), "report": str(folder / "report.html")})


def _compare(folders: list[pathlib.Path], page: pathlib.Path, output: Output) -> None:
    from ..config.brief import brief
    from ..config.yaml_source import parse
    from ..config.yaml_text import read_text
    from ..report.comparison import compare_runs, write_comparison  # as above
    from ..store import load

    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    if len(set(names)) < len(names):
        output.refuse("a folder is given twice.")
    runs = [load(folder) for folder in folders]
    files = [parse(read_text(folder / "resolved.yaml"), str(folder / "resolved.yaml")).data for folder in folders]
    found = compare_runs(names, runs, [brief(file) for file in files])
    write_comparison(found, runs, page)
    for line in str(found).splitlines():
        output.say(line)
    output.data(str(page))
    rows = {
        key: [{"name": row.name, "verdict": row.verdict, "sides": [dataclasses.asdict(side) for side in row.sides]}
              for row in part]
        for key, part in (("events", found.events), ("final", found.final))
    }  # fmt: skip
    output.document({"status": "done", "page": str(page), "runs": list(names), "keys": found.keys, **rows})


def _reached(dataset: Any) -> float:
    return float(dataset["time"][-1]) if "time" in dataset.coords and dataset["time"].size else 0.0
