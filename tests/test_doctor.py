"""`flowsim doctor` finds what is wrong, and each such line names a remedy."""

import importlib.metadata
import json
import shutil
from types import SimpleNamespace

import jax
import pytest
import typer

from flowsim.cli.doctor import doctor as command
from flowsim.doctor import device, examine, system


def test_every_line_that_is_wrong_has_a_remedy(capsys):
    command(json=True)
    document = json.loads(capsys.readouterr().out)
    names = {one["name"] for one in document["findings"]}
    assert names == {
        "flowsim", "versions", "compilation cache", "disk", "memory", "clusters", "devices", "float64", "TF32",
        "threads", "compiled sums", "float64 product",
    }  # fmt: skip
    assert document["status"] == "done"
    for one in document["findings"]:
        assert one["found"]
        assert bool(one["remedy"]) == (one["state"] != "ok")
        assert one["state"] != "error"


def test_text(capsys):
    command(quick=True)
    out = capsys.readouterr().out
    assert "ok    devices: cpu:0" in out
    assert "float64 product" not in out


def test_an_old_version_is_an_error(monkeypatch, capsys):
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.1" if name == "diffrax" else real(name))
    found = system.versions()
    assert found.state == "error"
    assert "diffrax 0.0.1, needed >=" in found.found
    assert found.remedy.startswith("python -m pip install 'diffrax>=")
    with pytest.raises(typer.Exit) as ended:
        command(quick=True)
    assert ended.value.exit_code == 1
    assert "FAIL  versions: diffrax 0.0.1" in capsys.readouterr().out


def test_a_newer_version_is_a_note(monkeypatch):
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0" if name == "jax" else real(name))
    assert "jax 99.0 (tested up to" in system.versions().found
    assert system.versions().state == "note"
    assert "python -m pip install 'jax<=" in system.versions().remedy


def test_a_compiler_that_computes_wrongly_is_an_error(monkeypatch):
    assert device.compiled_sums().state == "ok"
    monkeypatch.setattr(device, "_sums", lambda numbers: 1.01 * numbers.sum(1))
    found = device.compiled_sums()
    assert found.state == "error"
    assert "another version of jax" in found.remedy


def test_full_disk(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e8))
    assert system.free_disk().state == "warning"
    assert "--out" in system.free_disk().remedy


def test_cache(tmp_path):
    before = jax.config.jax_compilation_cache_dir
    try:
        (tmp_path / "program").write_bytes(b"x" * 3_000_000)
        jax.config.update("jax_compilation_cache_dir", str(tmp_path))
        assert f"{tmp_path}: 1 files, 3 MB" in system.compilation_cache().found
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_our_cache_is_shown_and_cleared(tmp_path, monkeypatch, capsys):
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("FLOWSIM_CACHE", str(tmp_path / "kept"))
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        assert f"{tmp_path / 'kept'}: 0 programs" in system.compilation_cache().found
        (folder,) = (tmp_path / "kept").iterdir()
        (folder / "a.program").write_bytes(b"x" * 3_000_000)
        (tmp_path / "kept" / "diary.program").write_bytes(b"not ours")
        assert "1 programs, 3 of 1000 MB" in system.compilation_cache().found
        command(quick=True, clear_cache=True)
        assert "1 compiled programs removed" in capsys.readouterr().err
        assert not list(folder.iterdir())
        assert (tmp_path / "kept" / "diary.program").exists()
        monkeypatch.setenv("FLOWSIM_CACHE", "0")
        assert "Unset FLOWSIM_CACHE" in system.compilation_cache().remedy
        monkeypatch.setenv("FLOWSIM_CACHE", str(tmp_path / "open"))
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(0o777)
        assert system.compilation_cache().state == "warning"
        assert "chmod go-w" in system.compilation_cache().found
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_clusters(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/sbatch" if name == "sbatch" else None)
    assert system.clusters().found == "Slurm (/usr/bin/sbatch)"
    assert system.clusters().state == "ok"
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert system.clusters().state == "note"
    assert "sbatch" in system.clusters().remedy


def test_tf32_on_a_gpu(monkeypatch):
    gpu = SimpleNamespace(platform="gpu", id=0, device_kind="test")
    monkeypatch.setattr(jax, "devices", lambda: [gpu])
    with jax.default_matmul_precision("default"):
        assert device.matrix_precision().state == "warning"
    with jax.default_matmul_precision("highest"):
        assert device.matrix_precision().state == "ok"


def test_what_cannot_be_examined_is_said(monkeypatch):
    def broken():
        raise RuntimeError("no driver")

    monkeypatch.setattr(device, "LOOKS", (broken,))
    (found,) = (one for one in examine(quick=True) if one.name == "broken")
    assert (found.state, found.found) == ("error", "cannot be examined: no driver")
