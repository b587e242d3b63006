"""Compiled programs on disk: read by the next process, whole or not at all, within a size, by their owner only."""

import json
import os
import pathlib
import stat
import subprocess
import sys
import time

import jax
import pytest

import flowsim
from flowsim.cache import opened, place, usage
from flowsim.cache.programs import Programs

SCRIPT = """
import json, sys, warnings
warnings.simplefilter("error")
import jax, jax.monitoring, jax.numpy as jnp
counts = {"hits": 0, "asked": 0}
def listen(name, **_):
    counts["hits"] += name == "/jax/compilation_cache/cache_hits"
    counts["asked"] += name == "/jax/compilation_cache/compile_requests_use_cache"
jax.monitoring.register_event_listener(listen)
import flowsim
folder = flowsim.cache.enable()
values = [float(jax.jit(lambda x: jnp.sum(jnp.sin(n * x)))(jnp.arange(3.0))) for n in (1, 2)]
print(json.dumps({"folder": folder and str(folder), "values": values, **counts}))
"""


def started(code, *arguments, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_COMPILATION", "JAX_PERSISTENT"))}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment | variables, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_next_process_compiles_nothing_and_torn_entries_are_compiled_again(tmp_path):
    root = tmp_path / "kept"
    first, second = (started(SCRIPT, FLOWSIM_CACHE=str(root)) for _ in range(2))
    assert first["hits"] == 0
    assert second["hits"] == second["asked"] == first["asked"] > 0
    assert second["values"] == first["values"]
    folder = pathlib.Path(first["folder"])
    assert [stat.S_IMODE(one.stat().st_mode) for one in (root, folder)] == [0o700, 0o700]
    files = sorted(folder.glob("*.program"))
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    whole = {file: file.read_bytes() for file in files}
    for number, file in enumerate(files):  # torn at every length that matters, flipped, foreign
        content = whole[file]
        flipped = bytearray(content)
        flipped[-9] ^= 1
        damages = (
            b"",
            content[:7],
            content[: len(content) // 2],
            content[:-1],
            bytes(flipped),
            whole[files[number - 1]],
        )
        file.write_bytes(damages[number % len(damages)])
    third = started(SCRIPT, FLOWSIM_CACHE=str(root))
    assert third["hits"] == 0
    assert third["values"] == first["values"]
    assert sorted(folder.iterdir()) == files
    assert all(abs(file.stat().st_size - len(whole[file])) < 99 for file in files)  # written anew


def test_switched_off_and_left_to_jax(tmp_path, monkeypatch):
    before, name = jax.config.jax_compilation_cache_dir, "jax_compilation_cache_dir"
    try:
        jax.config.update(name, str(tmp_path / "theirs"))
        monkeypatch.setenv("FLOWSIM_CACHE", str(tmp_path / "ours"))
        assert flowsim.cache.enable() == tmp_path / "theirs"
        jax.config.update(name, None)
        monkeypatch.setenv("FLOWSIM_CACHE", "0")
        assert flowsim.cache.enable() is None
        assert jax.config.jax_compilation_cache_dir is None
        assert not (tmp_path / "ours").exists()
    finally:
        jax.config.update(name, before)


def test_every_damage_is_a_miss_and_is_removed(tmp_path):
    store = Programs(tmp_path)
    store.put("key", b"content")
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    assert store.get("key") == b"content"
    for damaged in [*(whole[:n] for n in range(len(whole))), whole + b"x", bytes([whole[0] ^ 1]) + whole[1:]]:
        file.write_bytes(damaged)
        assert store.get("key") is None
        assert not file.exists()
    store.put("other", b"content")
    (other,) = tmp_path.iterdir()
    os.replace(other, file)  # a program under another's name
    assert store.get("key") is None


def test_the_least_recently_used_go_first(tmp_path):
    folder = tmp_path / "jax-versions"
    folder.mkdir()
    store = Programs(folder, size=1000)
    for number in range(8):
        store.put(f"key {number}", bytes(68))  # 100 bytes with its digest
        (file,) = (one for one in folder.iterdir() if one.stat().st_mtime > 1e9)  # the new one
        os.utime(file, (number, number))
    assert store.get("key 0") is not None  # used now
    for number in range(8, 12):
        store.put(f"key {number}", bytes(68))
    assert usage(tmp_path).bytes <= 1000
    assert store.get("key 0") is not None
    assert store.get("key 1") is None
    assert store.get("key 11") is not None
    store.put("large", bytes(2000))
    assert store.get("large") is None


def test_what_a_killed_process_was_writing_is_removed(tmp_path):
    folder = tmp_path / "jax-versions"
    folder.mkdir()
    old, new = folder / "old.writing", folder / "new.writing"
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    Programs(folder).put("key", b"content")
    assert not old.exists()
    assert new.exists()


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Programs(tmp_path).put("key", b"content")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_ends_writing_without_a_warning(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    store = Programs(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        store.put("key", b"content")
    assert not list(tmp_path.iterdir())
    store.put("key", b"content")  # it does not try again
    assert store.get("key") is None


def test_a_folder_of_somebody_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(PermissionError, match="belongs to another user"):
        opened(tmp_path)


def test_the_variable_says_where(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWSIM_CACHE", str(tmp_path))
    assert place() == tmp_path
    assert place(tmp_path / "given") == tmp_path / "given"
    for off in ("0", "off", "False"):
        monkeypatch.setenv("FLOWSIM_CACHE", off)
        assert place() is place(tmp_path) is None
    for default in ("1", ""):
        monkeypatch.setenv("FLOWSIM_CACHE", default)
        assert place().parts[-2:] == ("flowsim", "programs")


def test_a_size_that_is_not_positive():
    with pytest.raises(ValueError, match="size must be > 0"):
        flowsim.cache.enable(size=0)
