"""The command line: exit codes, what goes to stdout and what to stderr, and what is never imported."""

import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys

import pytest
import typer

from flowsim.cli import output as _output
from flowsim.cli.app import app
from flowsim.cli.run import size_text
from flowsim.config import load_text
from flowsim.solver_names import OPTAX, SCIPY, SOLVERS

GOOD = """name: tiny
task: {kind: cooccurrence, samples: 6, length: 3, vocabulary: 5}
model: {kind: cooccurrence_transformer, width: 4, neurons: 4}
flow: {kind: gradient, t1: 1.0}
save: {points: 5}
certificate: false
figures: []
"""
COMMAND = [sys.executable, "-c", "from flowsim.cli import main; main()"]


def flowsim(*arguments, cwd=None, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=120,
        env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def file(tmp_path) -> pathlib.Path:
    path = tmp_path / "e.yaml"
    path.write_text(GOOD)
    return path


WRONG = {
    "unknown key": (GOOD + "wdith: 3\n", "e.yaml:8:1 wdith"),
    "duplicate key": (GOOD + "name: y\n", "e.yaml:8:1 name"),
    "negative width": (GOOD.replace("width: 4", "width: -4"), "e.yaml:3:48 model.width"),
    "no such kind": (GOOD.replace("gradient", "gradeint"), "did you mean 'gradient'?"),
    "not YAML": ("a: [1,\n", "e.yaml:2:1 not YAML"),
    "empty": ("", "e.yaml:1:1 is empty"),
    "binary": ("\x00\x01", "e.yaml:1:1 control character"),
}


@pytest.mark.thorough
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_ends_with_2_and_its_place(file, what):
    text, says = WRONG[what]
    file.write_text(text)
    for command in ("run", "check"):
        done = flowsim(command, file)
        assert done.returncode == 2
        assert says in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert not (file.parent / "runs").exists()


def test_a_sound_file_ends_with_0_and_says_so_on_stderr(file):
    done = flowsim("check", file)
    assert (done.returncode, done.stdout) == (0, "")
    assert "no errors" in done.stderr
    assert flowsim("check", file, "-q").stderr == ""


def test_json_is_one_document_whatever_happens(file):
    done = flowsim("check", file, "--json")
    assert json.loads(done.stdout) == {"schema_version": 1, "status": "sound", "name": "tiny", "problems": []}
    done = flowsim("check", file, "flow.t1=-1", "wdith=3", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["status"], document["schema_version"]) == (2, "refused", 1)
    assert [problem["key"] for problem in document["problems"]] == ["flow.t1", "wdith"]
    assert json.loads(flowsim("run", "--json").stdout)["status"] == "refused"
    assert len(json.loads(flowsim("solvers", "--json").stdout)["solvers"]) == len(SOLVERS)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",), ("run",), ("check",), ("check", "none.yaml"), ("check", "."), ("check", "e.yaml", "--nonsense"),
        ("check", "e.yaml", "override"), ("new", "nonsense"), ("report",), ("report", "."), ("report", "none"),
        ("run", "--resume", "."), ("run", "--resume", "none"), ("run", "e.yaml", "--resume", "."),
        ("run", "e.yaml", "--out", "."), ("run", "e.yaml", "--out", "e.yaml"), ("solvers", "extra"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_ends_with_2(file, arguments):
    done = flowsim(*arguments, cwd=file.parent)
    assert done.returncode == 2, done.stderr
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_debug_shows_the_traceback(file):
    file.write_text(GOOD + "wdith: 3\n")
    done = flowsim("check", file, "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "wdith" in done.stderr


@pytest.mark.thorough
@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("new",), ("solvers",), ("check", "e.yaml"), ("run", "--help")],
    ids=" ".join,
)
def test_the_light_commands_import_nothing_heavy(file, arguments):
    heavy = "('jax', 'numpy', 'scipy', 'diffrax', 'equinox', 'matplotlib', 'xarray', 'rich')"
    probe = (
        "import atexit, sys; "
        f"atexit.register(lambda: print([m for m in {heavy} if m in sys.modules], file=sys.stderr)); "
        "from flowsim.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, *arguments], capture_output=True, text=True, cwd=file.parent, timeout=60
    )
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "[]"


def test_the_light_commands_answer_at_once(file):
    """At most three and a half times the import of the libraries that parse the command line and the file."""

    def seconds(*command) -> float:
        """Of computing: the wall's would be those of the other tests, too, that run at the same time."""

        def spent() -> float:
            children = resource.getrusage(resource.RUSAGE_CHILDREN)
            return children.ru_utime + children.ru_stime

        before = spent()
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        return spent() - before

    light = (sys.executable, "-c", "from flowsim.cli import main; main()")
    libraries = min(seconds(sys.executable, "-c", "import pydantic.types, ruamel.yaml, typer") for _ in range(3))
    for arguments in (("--help",), ("--version",), ("check", file)):
        assert min(seconds(*light, *arguments) for _ in range(2)) < 3.5 * libraries


@pytest.mark.slow
def test_help_has_examples():
    assert "flowsim new figure1 > figure1.yaml" in flowsim("--help").stdout
    for command in ("run", "check", "new", "report"):
        assert f"flowsim {command} " in flowsim(command, "--help").stdout


@pytest.mark.slow
def _alone(command):
    """A command in this process, without the group that it belongs to."""
    return typer.main.get_command(app).commands[command].main


def test_help_names_what_a_value_is(capsys):
    """No Python types: `<int range>`, `<list[str]>` say nothing to a person."""
    for command in ("run", "sweep", "verify", "compare", "new", "report", "explore", "status", "collect", "check"):
        with pytest.raises(SystemExit) as ended:
            _alone(command)(["--help"])
        text = capsys.readouterr().out
        assert (ended.value.code, "<" in text) == (0, False), text
    with pytest.raises(SystemExit):
        _alone("run")(["--help"])
    text = capsys.readouterr().out
    assert all(word in text for word in ("--jobs INTEGER", "--slurm KEY=VALUE", "--out DIR", "--on PLACE"))


@pytest.mark.parametrize("words", [("--flow.t1", "10"), ("--flow.t1=10",), ("--seed", "3", "-q")])
def test_a_key_that_is_written_as_an_option_gets_the_hint(file, words, capsys):
    with pytest.raises(SystemExit) as ended:
        _alone("run")([str(file), *words])
    assert ended.value.code == 2
    key = words[0].strip("-").partition("=")[0]
    meant = f"it is a key of the experiment, so write {key}={'3' if key == 'seed' else '10'} without"
    assert meant in " ".join(capsys.readouterr().err.split())


def test_new_prints_an_experiment_that_passes_check(tmp_path):
    (tmp_path / "n.yaml").write_text(flowsim("new").stdout)
    assert flowsim("check", tmp_path / "n.yaml").returncode == 0
    assert load_text(flowsim("new", "quick").stdout, origin="quick").name == "quick"
    assert "did you mean 'quick'?" in flowsim("new", "quik").stderr


def test_new_writes_a_file_where_out_names_one(tmp_path):
    """`--out` was accepted, and nothing was written."""
    assert flowsim("new", "quick", "--out", "q.yaml", cwd=tmp_path).stdout == "q.yaml\n"
    assert (tmp_path / "q.yaml").read_text() == flowsim("new", "quick").stdout
    again = flowsim("new", "quick", "--out", "q.yaml", cwd=tmp_path)
    assert again.returncode == 2
    assert "is there already" in again.stderr


def test_solvers_lists_every_solver():
    lines = flowsim("solvers").stdout.splitlines()
    rows = [line.split()[0] for line in lines[2:] if line and not line.startswith(" ")]
    assert rows[: len(SOLVERS)] == [solver.kind for solver in SOLVERS]
    assert all(name in lines[-1] for name in (*SCIPY, *OPTAX)), "those that `flowsim compare --help` names, too"


def test_a_closed_pipe_is_no_error():
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c 'from flowsim.cli import main; main()' new | true"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def test_no_escape_reaches_the_terminal(file):
    done = flowsim("check", file, "\x1b[2Jname=3", "name=\x1b[2J", FORCE_COLOR="1")
    assert done.returncode == 2
    assert "\x1b" not in done.stderr


def test_a_terminal_without_unicode_gets_every_message(file):
    done = flowsim("check", file, "certificate.method=gram", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert "certificate.method" in done.stderr


def test_unexpected_errors_are_one_line_and_1(monkeypatch, capsys):
    with pytest.raises(typer.Exit) as caught, _output.Output(json=True).ending():
        raise RuntimeError("two\nlines")
    assert caught.value.exit_code == 1
    captured = capsys.readouterr()
    assert captured.err == "flowsim: unexpected RuntimeError: two lines (--debug shows where)\n"
    assert json.loads(captured.out)["status"] == "failed"


def test_where_memory_or_its_maps_run_out_the_remedy_is_said(capsys):
    with pytest.raises(typer.Exit) as caught, _output.Output().ending():
        raise RuntimeError("INTERNAL: LLVM: Cannot allocate memory")
    assert caught.value.exit_code == 1
    assert "Cannot allocate memory; free memory, or raise vm.max_map_count" in capsys.readouterr().err


def test_an_interrupt_ends_with_130(capsys):
    with pytest.raises(typer.Exit) as caught, _output.Output().ending():
        raise KeyboardInterrupt
    assert caught.value.exit_code == 130
    with pytest.raises(typer.Exit) as caught, _output.Output().ending():
        _output.Output().interrupted("stopped", signal.SIGTERM)
    assert caught.value.exit_code == 143


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One real run with an override, and the command that made it."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "e.yaml").write_text(GOOD)
    return folder, flowsim("run", "e.yaml", "flow.t1=2.0", "--out", "out", "--json", cwd=folder)


def test_run_writes_a_folder_and_prints_its_summary(finished):
    folder, done = finished
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["schema_version"], summary["status"], summary["final"]["time"]) == (1, "done", 2.0)
    assert summary.pop("folder") == "out"
    assert summary == json.loads((folder / "out" / "summary.json").read_text())
    assert (folder / "out" / "experiment.yaml").read_text() == GOOD
    assert load_text((folder / "out" / "resolved.yaml").read_text(), origin="r").flow.t1 == 2.0
    assert "Traceback" not in done.stderr
    assert re.search(r"s in all: loading [\d.]+ s, .*integration [\d.]+ s", done.stderr), "the account is of the wait"


def test_a_run_that_has_ended_says_so_when_it_is_resumed(finished):
    folder, _ = finished
    before = (folder / "out" / "summary.json").stat().st_mtime_ns
    done = flowsim("run", "--resume", "out", cwd=folder)
    assert done.returncode == 0
    assert "out had ended before: nothing is run again" in done.stderr
    assert (folder / "out" / "summary.json").stat().st_mtime_ns == before


def test_what_has_not_ended_is_not_lengthened_in_one_sentence(finished, tmp_path):
    """The folder is named, the reason is that it has not ended, and the remedy is a command."""
    copy = shutil.copytree(finished[0] / "out", tmp_path / "cut")
    (copy / "summary.json").unlink()
    done = flowsim("run", "--resume", "cut", "flow.t1=1.0", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "flowsim: cut has not ended, and nothing of it can be changed before it has: finish it with `flowsim run "
        "--resume cut` alone, or start a new run with the changes.\n"
    )


def test_a_run_folder_is_never_overwritten_without_being_told_so(finished):
    folder, _ = finished
    before = (folder / "out" / "summary.json").stat().st_mtime_ns
    done = flowsim("run", "e.yaml", "--out", "out", cwd=folder)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert (folder / "out" / "summary.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_dry_run_shows_the_plan_and_writes_nothing(tmp_path, file):
    done = flowsim("run", file, "--dry-run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert (plan["status"], plan["solver"], plan["saved_times"]) == ("planned", "dopri8", 6)
    assert plan["experiment"]["flow"]["t1"] == 1.0
    assert re.search(r"^carry: [\d.]+ [kM]?B$", done.stderr, re.MULTILINE)
    assert [path.name for path in tmp_path.iterdir()] == ["e.yaml"]


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1_234_567, "1.23 MB"), (999_900, "1 MB")])
def test_sizes_have_units(size, text):
    assert size_text(size) == text
