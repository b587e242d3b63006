"""`flowsim new`: a commented experiment to start from."""

import pathlib
import textwrap
from typing import Annotated

import typer

from .._files import make_folder, write_text
from ..config import SECTIONS, registered, templates
from ..config.filling import filled
from ..config.kind import description, source
from ..config.problems import did_you_mean
from .command import Overrides, command
from .completion import kinds
from .output import Output
from .reading import Command


def register(app: typer.Typer) -> None:
    listed = "\n".join(f"  {name:<16} {about}" for name, about in templates.listed().items())
    listed += f"\n  {_THEORY:<16} a folder with a problem, claims and an experiment of your own to fill in"
    about = f"Print a commented experiment to start from.\n\n\b\nKinds:\n{listed}\n\n{_EXAMPLE}"
    app.command("new", cls=Command, help=about)(new)


_THEORY = "theory"
_EDITOR = """\
# yaml-language-server: $schema=flowsim.schema.json
# With that line an editor completes and checks this file, once beside it: flowsim schema > flowsim.schema.json
"""


_EXAMPLE = """\b
Examples:
  flowsim new theory_regime --out mine.yaml
  flowsim new quick flow.t1=50.0 model.width=64 > quick.yaml    with your values in it
  flowsim new theory --out mine          a folder to fill in: problem, claims, experiment
  flowsim new --list                     every kind of every section, with what it is
  flowsim new --list --plugin mine.py    those of a plugin among them"""


@command(plugins=True)
def new(
    output: Output,
    kind: Annotated[
        str, typer.Argument(metavar="[KIND]", help="Which one; figure1 if not given.", autocompletion=kinds)
    ] = "figure1",
    values: Overrides = None,
    list_kinds: Annotated[bool, typer.Option("--list", help="List the kinds that an experiment may name.")] = False,
    out: Annotated[
        pathlib.Path | None,
        typer.Option("--out", metavar="PATH", help="Write this file instead of printing; of `theory`: this folder."),
    ] = None,
) -> None:
    if list_kinds:
        _list(output)
        return
    if "=" in kind:  # values, and no kind
        kind, values = "figure1", [kind, *(values or [])]
    if kind == _THEORY and values:
        output.refuse("theory is a folder to fill in: give it no values.")
    if kind == _THEORY:
        _write_theory(pathlib.Path(_THEORY) if out is None else out, output)
        return
    known = [*templates.listed(), _THEORY]
    if kind not in templates.listed():
        output.refuse(f"there is no experiment kind {kind!r}; {did_you_mean(kind, known)}")
    text = _EDITOR + filled(templates.text(kind), values or [], f"{kind}.yaml")
    if out is None:
        output.data(text.rstrip("\n"))
    elif out.exists():
        output.refuse(f"{out} is there already: choose another --out.")
    else:
        make_folder(out.parent)
        write_text(out, text)
        output.data(str(out))
    output.document({"kind": kind, "text": text})


def _write_theory(folder: pathlib.Path, output: Output) -> None:
    """A folder with a theory to fill in, which runs as it is."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        output.refuse(f"{folder} is there already: choose another --out.")
    files = templates.theory()
    make_folder(folder)
    for name, text in files.items():
        write_text(folder / name, text)
    output.data(str(folder))
    output.say(f"fill in {', '.join(files)}, then: flowsim verify {folder}/experiment.yaml --plugin {folder}/theory.py")
    output.document({"kind": _THEORY, "folder": str(folder), "files": list(files)})


def _list(output: Output) -> None:
    """Every kind with its first sentence and its fields."""
    sections = {}
    for section in SECTIONS:
        kinds = registered(section)
        sections[section] = {
            name: {
                "description": description(which),
                "fields": [field for field in which.model_fields if field != "kind"],
                "plugin": source(which),
            }
            for name, which in kinds.items()
        }
        output.data(f"{section}:" if kinds else f"{section}: none but those of a plugin")
        for name, which in kinds.items():
            text = f"{description(which)}" + (f" ({source(which)})" if source(which) else "")
            output.data(textwrap.fill(f"  {name:<26} {text}", 110, subsequent_indent=" " * 29, break_long_words=False))
    output.document({"sections": sections})
