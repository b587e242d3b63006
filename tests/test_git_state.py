"""The commit is read, and nothing that lies beside an experiment is executed."""

import os
import pathlib
import shutil
import stat
import subprocess
import time

import pytest

from flowsim.experiment import git
from flowsim.experiment.git import git_state

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def run_git(folder, *arguments):
    identity = ("-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(name="repository")
def _repository(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    run_git(folder, "init", "-q")
    (folder / "experiment.yaml").write_text("name: a\n")
    (folder / ".gitattributes").write_text("*.yaml filter=evil diff=evil\n")
    run_git(folder, "add", ".")
    run_git(folder, "commit", "-q", "-m", "first")
    return folder


def armed(folder, gitdir):
    """Every setting of a repository that names a program names one that leaves a mark."""
    mark, program = folder.parent / "mark", folder / "helper.sh"
    program.write_text(f"#!/bin/sh\necho $0 $@ >> {mark}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    hooks = gitdir / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "reference-transaction", "fsmonitor-watchman"):
        shutil.copy(program, hooks / name)
    for key in (
        "core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "diff.evil.textconv",
        "diff.evil.command", "diff.external", "core.pager", "core.sshCommand", "core.askPass", "gpg.program",
        "credential.helper", "remote.origin.uploadpack",
    ):  # fmt: skip
        run_git(folder, "config", "--file", str(gitdir / "config"), key, str(program))
    return mark


def test_commit_and_changes(repository, tmp_path):
    commit = run_git(repository, "rev-parse", "HEAD")
    assert git_state(repository) == {"commit": commit, "changed": False}
    (repository / "untracked").write_text("x")
    assert git_state(repository) == {"commit": commit, "changed": False}
    (repository / "experiment.yaml").write_text("name: b, another\n")
    assert git_state(repository) == {"commit": commit, "changed": True}
    assert git_state(tmp_path) is None


def test_an_archive_with_everything_armed_runs_nothing(repository):
    commit = run_git(repository, "rev-parse", "HEAD")
    mark = armed(repository, repository / ".git")
    os.utime(repository / "experiment.yaml", (1, 1))  # so that git would have to read it, through the filter
    assert git_state(repository)["commit"] == commit
    assert not mark.exists(), mark.read_text()


def test_a_lazy_fetch_of_missing_objects_runs_nothing(repository):
    mark = armed(repository, repository / ".git")
    config = repository / ".git" / "config"
    for key, value in (
        ("core.repositoryformatversion", "1"), ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"), ("protocol.ext.allow", "always"),
        ("remote.origin.url", f"ext::{repository}/helper.sh"),
    ):  # fmt: skip
        run_git(repository, "config", "--file", str(config), key, value)
    tree = run_git(repository, "rev-parse", "HEAD^{tree}")
    loose = repository / ".git" / "objects" / tree[:2] / tree[2:]
    loose.chmod(0o644)
    loose.unlink()
    mark.unlink(missing_ok=True)
    assert git_state(repository)["changed"] == "unknown"
    assert not mark.exists(), mark.read_text()


def test_a_bare_repository_beside_the_experiment_is_not_obeyed(repository, tmp_path):
    folder = tmp_path / "archive"
    run_git(tmp_path, "clone", "-q", "--bare", str(repository), str(folder))
    shutil.copy(repository / "experiment.yaml", folder)
    mark = armed(folder, folder)
    for key, value in (("core.bare", "false"), ("core.worktree", ".")):
        run_git(folder, "config", "--file", str(folder / "config"), key, value)
    mark.unlink(missing_ok=True)
    assert git_state(folder) is None
    assert not mark.exists(), mark.read_text()


def test_variables_of_git_do_not_point_elsewhere(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository))
    outside = tmp_path / "outside"
    outside.mkdir()
    assert git_state(outside) is None


def test_a_git_that_hangs_is_ended_with_its_children(repository, tmp_path, monkeypatch):
    tools, pid = tmp_path / "tools", tmp_path / "pid"
    tools.mkdir()
    (tools / "git").write_text(f"#!/bin/sh\nsleep 60 & echo $! > {pid}\nwait\n")
    (tools / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setattr(git, "_SECONDS", 0.5)
    began = time.monotonic()
    assert git_state(repository) == {"commit": "unknown", "changed": "unknown"}
    assert time.monotonic() - began < 10
    for _ in range(100):
        if not _alive(int(pid.read_text())):
            return
        time.sleep(0.05)
    pytest.fail("the grandchild still runs")


def _alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False
