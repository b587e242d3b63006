"""Every Python block of README and docs runs, and every command that they show is one.

The blocks of a page share one namespace and run in order, as a reader would type them into a fresh kernel: float64 is
off until the page switches it on, and a page that leaves arrays of float32 behind fails. A block that needs what no
test has says so in a comment before it, `<!-- not run: why -->`. Tutorials, which pages include, run in
`test_tutorials`.
"""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import typer

import flowsim
from flowsim.cli.app import app

ROOT = pathlib.Path(__file__).parent.parent
PAGES = {str(path.relative_to(ROOT)): path.read_text("utf8") for path in [*sorted((ROOT / "docs").glob("*.md"))]}
PAGES["README.md"] = (ROOT / "README.md").read_text("utf8")
SLOW = ("README.md", "docs/flow-and-descent.md", "docs/sensitivities.md", "docs/saddles.md", "docs/adapt.md")
_BLOCK = re.compile(r"(?:<!-- not run: (?P<why>[^\n]+) -->\n+)?^```python[^\n]*\n(?P<code>.*?)^```$", re.M | re.S)


def blocks(text):
    """(line, code) of what is to be run."""
    for found in _BLOCK.finditer(text):
        if not found["why"] and "--8<--" not in found["code"]:
            yield text[: found.start("code")].count("\n"), found["code"]


LONG_FIXTURES = ("quick",)  # what uses them is slow
WITH_CODE = [page for page, text in PAGES.items() if any(blocks(text))]

RUNNER = """
import json, sys, traceback, warnings

import jax

warnings.simplefilter("error")
failures = {}
for page, code in json.load(sys.stdin).items():
    jax.config.update("jax_enable_x64", False)  # as a fresh kernel has it
    names = {"__name__": "__main__"}
    try:
        exec(compile(code, page, "exec"), names)
    except Exception:
        failures[page] = traceback.format_exc()
    short = [name for name in names if any(getattr(x, "dtype", "") == "float32" for x in jax.tree.leaves(names[name]))]
    if short:
        failures.setdefault(page, f"float32, as the page does not switch float64 on before it makes them: {short}")
print("\\n" + json.dumps(failures))
"""


def run(pages, folder):
    """Page -> what failed, of pages run by one process."""
    # Empty lines before a block keep the page's line numbers in what Python says.
    sources = {}
    for page in pages:
        source = ""
        for line, code in blocks(PAGES[page]):
            source += "\n" * (line - source.count("\n")) + code
        sources[page] = source
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(sources),
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    return run([page for page in WITH_CODE if page not in SLOW], tmp_path_factory.mktemp("docs"))


@pytest.mark.parametrize("page", [page for page in WITH_CODE if page not in SLOW])
def test_code_runs(page, quick):
    assert page not in quick, quick[page]


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW)
def test_longer_code_runs(page, tmp_path):
    assert page in WITH_CODE
    assert not run([page], tmp_path)


def commands():
    """(page, command line) of every `flowsim …` in a shell block, an indented block or a code span."""
    for page, text in PAGES.items():
        shell = "".join(re.findall(r"^```(?:console|bash)\n(.*?)^```$", text, re.M | re.S))
        rest = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        lines = re.findall(r"^flowsim [^\n|>]*", shell, re.M) + re.findall(r"^ {4}(flowsim [^\n|>]*)", rest, re.M)
        for line in lines + re.findall(r"`(flowsim [^`]+)`", rest):
            yield page, line


OPTIONS = {
    name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    | {"--help"}
    for name, command in typer.main.get_command(app).commands.items()
}


def test_commands_and_their_options_exist():
    seen, wrong = 0, []
    for page, line in commands():
        _, *words = shlex.split(line.rstrip("\\").replace("…", ""), comments=True)
        if not words or not re.fullmatch(r"[a-z][a-z-]*", words[0]):
            continue
        seen += 1
        if words[0] not in OPTIONS:
            wrong.append(f"{page}: no command {words[0]!r} in {line!r}")
            continue
        used = {word.split("=")[0] for word in words[1:] if word.startswith("-")}
        wrong += [f"{page}: {line!r}: no option {option}" for option in used - OPTIONS[words[0]]]
    assert seen > 30
    assert not wrong, "\n".join(wrong)


def test_experiments_that_pages_name_exist():
    named = {(page, path) for page, text in PAGES.items() for path in re.findall(r"\bexperiments/\w+\.yaml", text)}
    assert len(named) > 5
    assert not [(page, path) for page, path in named if not (ROOT / path).is_file()]


def test_a_first_figure_takes_six_lines():
    """From nothing to a figure; that the lines run is the other test's."""
    section = PAGES["docs/other-tools.md"].split("## A first figure")[1].split("\n## ")[0]
    code = _BLOCK.search(section)["code"]
    assert "flowsim.plot.draw(" in code
    assert len([line for line in code.splitlines() if line.strip()]) <= 6


SAID = {
    "an ensemble from the command line": ("docs", r"`seeds: 10`|seeds=\d+"),
    "an ensemble from Python": ("docs", r"ensemble\.simulate\("),
    "a start from a file": ("docs", r"kind: file, path: [^}]*parameters\.safetensors"),
    "a run that goes on": ("docs", r"\.extend\("),
    "processes": ("docs/run-folder.md", r"does not survive a fork: start workers by `spawn`"),
    "when the second integration is made": ("README.md", r"in Python: when\s+`result\.certificate` is looked at"),
}


@pytest.mark.parametrize("what", SAID)
def test_what_a_reader_looks_for_is_said(what):
    where, text = SAID[what]
    assert any(re.search(text, page) for name, page in PAGES.items() if name.startswith(where))


def test_nothing_is_said_that_is_not_so():
    """Refused steps are no warning; scores of linear attention are divided by two things (`test_oracles` measures)."""
    assert not re.search(r"reject|refus", PAGES["docs/how-exact.md"].split("## Curves")[0])
    assert "divided by √(head width) and by the number of keys" in flowsim.models.Transformer.__doc__


def test_what_pages_include_is_there():
    """Also where the site is not built: the exact marker, and a file below the folder of `mkdocs.yml`."""
    (folder,) = re.findall(r"base_path: \[(.*)\]", (ROOT / "mkdocs.yml").read_text("utf8"))
    lines = [line for text in PAGES.values() for line in text.splitlines() if "-8<-" in line.replace(" ", "")]
    assert len(lines) >= 4
    for line in lines:
        named = re.fullmatch(r'--8<-- "([\w.]+)"', line)
        assert named, line
        assert (ROOT / folder / named[1]).is_file(), line
