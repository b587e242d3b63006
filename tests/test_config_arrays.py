"""Files of arrays from anywhere: nothing is executed, nothing large is read, every wrong value is named."""

import contextlib
import io
import json
import pathlib
import pickle
import struct
import time
import zipfile

import numpy as np
import pytest

from flowsim.config import ExperimentErrors, load
from flowsim.config.array_files import LARGEST_ARRAY, ArrayErrors, headers, read
from flowsim.config.arrays import load_embedding, load_task_arrays, load_weights

REFERENCE = pathlib.Path(__file__).parent / "reference" / "small.npz"
M1, M, D = 3, 4, 5


def weights(**changes):
    rng = np.random.default_rng(0)
    good = {"W": rng.normal(size=(M1, M)), **{k: rng.normal(size=(M, D)) for k in ("W_V", "W_K", "W_Q")}}
    return {**good, "a": np.array([1.0, -1.0, 1.0]), **changes}


def task(**changes):
    return {
        "tokens": np.array([[0, 1, 2], [2, 3, 4]]),
        "labels": np.array([1, -1]),
        "groups": np.array([0, 3]),
        **changes,
    }


def saved(tmp_path, arrays):
    path = tmp_path / "file.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def message(load, *arguments, **options) -> str:
    with pytest.raises(ArrayErrors) as caught:
        load(*arguments, **options)
    return str(caught.value)


def test_what_was_saved_is_read(tmp_path):
    arrays = {"W": np.arange(6.0).reshape(2, 3), "F": np.asfortranarray(np.arange(6).reshape(2, 3)), "s": np.float32(3)}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", **arrays)
        for name, header in headers(tmp_path / "x.npz").items():
            got = read(tmp_path / "x.npz", header)
            np.testing.assert_array_equal(got, arrays[name])
            assert got.dtype == arrays[name].dtype


def test_reference_files_are_read():
    loaded = load_weights(REFERENCE, width=8, neurons=6, vocabulary=10)
    with np.load(REFERENCE) as reference:
        for name in ("W", "W_V", "W_K", "W_Q", "a"):
            np.testing.assert_array_equal(loaded[name], reference[name])
        np.testing.assert_array_equal(load_task_arrays(REFERENCE, 10)["tokens"], reference["tokens"])


def test_groups_are_optional(tmp_path):
    assert set(load_task_arrays(saved(tmp_path, task(groups=None)), 5)) == {"tokens", "labels"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tokens": None}, "lacks tokens; it must hold tokens, labels, and holds groups, labels"),
        (
            {"tokens": np.array([[0, 1, 2], [2, 3, 5]])},
            "tokens must lie in [0, 5), got 5 at [1, 2]: raise task.vocabulary",
        ),
        ({"tokens": np.array([[0, 1, 2], [2, -3, 4]])}, "got -3 at [1, 1]"),
        ({"tokens": np.array([[0.0, 1, 2], [2, 3, 4]])}, "tokens must be integers, got float64"),
        ({"tokens": np.zeros((2, 3), bool)}, "tokens must be integers, got bool"),
        ({"tokens": np.array([0, 1])}, "tokens must be (samples, length)"),
        ({"tokens": np.zeros((0, 3), int)}, "tokens must be (samples, length)"),
        ({"tokens": np.zeros((2, 0), int)}, "tokens must be (samples, length)"),
        ({"labels": np.array([1, 0])}, "labels must be -1 or +1, got 0 at [1]"),
        ({"labels": np.array([1.0, np.nan])}, "labels must be -1 or +1, got nan"),
        ({"labels": np.array([True, True])}, "labels must be -1 or +1, got True"),
        ({"labels": np.array([1, 1, -1])}, "labels must be (samples) = (2,), got (3,)"),
        ({"groups": np.array([0, 4])}, "groups must lie in [0, 4), got 4"),
        ({"groups": np.array([0.0, 3.0])}, "groups must be integers"),
        ({"groups": np.array([[0, 3]])}, "groups must be (samples)"),
    ],
)
def test_wrong_samples_are_named(tmp_path, changes, says):
    assert says in message(load_task_arrays, saved(tmp_path, task(**changes)), 5)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"a": None}, "lacks a;"),
        ({"W": np.zeros((M1, M, 1))}, "W and W_V must be matrices"),
        ({"W_K": np.zeros((M, D + 1))}, "W_K must be (width, vocabulary) = (4, 5), got (4, 6)"),
        ({"a": np.ones(M1 + 1)}, "a must be (neurons)"),
        ({"a": np.array([1.0, -1.0, 0.5])}, "a must be -1 or +1, got 0.5 at [2]"),
        ({"W_Q": np.full((M, D), np.nan)}, "W_Q must be finite, got nan at [0, 0]"),
        ({"W": np.where(np.eye(M1, M) > 0, np.inf, 0)}, "W must be finite, got inf at [0, 0]"),
        ({"W": np.zeros((M1, M), int)}, "W must be floating-point numbers, got int64"),
        ({"W": np.zeros((M1, M), complex)}, "only plain numbers"),
        ({"W": np.zeros((M1, M), object)}, "never objects"),
        ({"W": np.zeros((M1, M), "U3")}, "only plain numbers"),
        ({"W": np.zeros((M1, M), [("x", "f8")])}, "only plain numbers"),
    ],
)
def test_wrong_weights_are_named(tmp_path, changes, says):
    assert says in message(load_weights, saved(tmp_path, weights(**changes)))


def test_weights_of_another_size_say_what_to_set(tmp_path):
    text = message(load_weights, saved(tmp_path, weights()), width=8, neurons=3, vocabulary=6)
    assert "width is 4 in the file, but model.width is 8: set model.width to 4" in text
    assert "set task.vocabulary to 5" in text
    assert "neurons" not in text


def test_embeddings(tmp_path):
    path = saved(tmp_path, {"embedding": np.eye(5)})
    np.testing.assert_array_equal(load_embedding(path, 5), np.eye(5))
    assert "(6, 6), got (5, 5)" in message(load_embedding, path, 6)
    assert "finite" in message(load_embedding, saved(tmp_path, {"embedding": np.full((2, 2), np.inf)}), 2)


class Executed:
    def __reduce__(self):
        return (pathlib.Path.touch, (pathlib.Path("executed"),))


def npy(shape: tuple, dtype: str = "<f8", data: bytes = b"", version: int = 1, header: bytes | None = None) -> bytes:
    text = (
        header if header is not None else f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}}}".encode()
    )
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


def zipped(tmp_path, members: dict[str, bytes], **options) -> pathlib.Path:
    path = tmp_path / "file.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_pickles_are_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = np.empty(1, object)
    objects[0] = Executed()
    np.savez("a.npz", W=objects)
    pathlib.Path("b.npz").write_bytes(pickle.dumps(Executed()))
    zipped(tmp_path, {"W.npy": pickle.dumps(Executed())})
    for name in ("a.npz", "b.npz", "file.npz"):
        message(load_weights, tmp_path / name)
    assert not pathlib.Path("executed").exists()


@pytest.mark.parametrize(
    "members",
    [
        {"tokens.npy": npy((10**9, 10**9), "<i8"), "labels.npy": npy((10**9,))},
        {"tokens.npy": npy((2**62, 4), "<i8")},
        {"tokens.npy": npy((2, 3), "<i8", bytes(47))},
        {"tokens.npy": npy((2, 3), "<i8", bytes(49))},
        {"tokens.npy": npy((-2, 3), "<i8")},
        {"tokens.npy": npy((2, 3), "|O", b"x" * 48)},
        {"tokens.npy": npy((), header=b"{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}")},
        {"tokens.npy": npy((), header=b"(" * 9000)},
        {"tokens.npy": npy((), header=b"x" * 20_000, version=2)},
        {"tokens.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff"},
        {"tokens.npy": b"\x93NUMPY\x09\x00"},
        {"tokens.npy": b""},
        {"tokens.npy": npy((2, 3), "<i8", bytes(48)), "tokens": npy((2, 3), "<i8", bytes(48))},
        {},
    ],
    ids=range(14),
)
def test_headers_that_lie_are_refused(tmp_path, members):
    assert message(load_task_arrays, zipped(tmp_path, members), 5)


def test_a_bomb_is_refused_before_it_is_read(tmp_path):
    """A few megabytes that unpack to gigabytes: the declared size does not fit, so nothing is unpacked."""
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("tokens.npy", "w") as member,
    ):
        member.write(npy((2, 3), "<i8"))
        for _ in range(256):
            member.write(bytes(1 << 20))
    start = time.perf_counter()
    assert "contradicts" in message(load_task_arrays, path, 5)
    assert time.perf_counter() - start < 0.2


def test_too_large_an_array_is_refused_by_its_header(tmp_path):
    huge = LARGEST_ARRAY // 8 + 1
    assert "at most" in message(headers, zipped(tmp_path, {"W.npy": npy((huge,))}))


def test_damage_is_refused_and_never_raises_anything_else(tmp_path):
    """Every prefix and many single-byte changes of a good file are read, or refused by name."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **task())
    good = buffer.getvalue()
    rng = np.random.default_rng(0)
    path = tmp_path / "x.npz"
    read_anyway = 0
    for trial in range(400):
        raw = bytearray(good[: int(rng.integers(len(good)))] if trial % 4 == 0 else good)
        for _ in range(int(rng.integers(1, 4)) if raw else 0):
            raw[rng.integers(len(raw))] = rng.integers(256)
        path.write_bytes(raw)
        with contextlib.suppress(ArrayErrors):
            load_task_arrays(path, 5)
            read_anyway += 1
    assert read_anyway < 200, "the damage is not seen"


def test_what_is_no_file_is_refused(tmp_path):
    assert "does not exist" in message(headers, tmp_path / "none.npz")
    assert "is not a file" in message(headers, tmp_path)
    assert "is not a file" in message(headers, "/dev/zero")
    assert message(headers, "nul\0.npz")


def safetensors(tmp_path, header: bytes, data: bytes = b"", length: int | None = None) -> pathlib.Path:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path


def test_safetensors_are_read(tmp_path):
    from safetensors.numpy import save_file

    save_file({name: array.astype(np.float32) for name, array in weights().items()}, tmp_path / "w.safetensors")
    loaded = load_weights(tmp_path / "w.safetensors", width=M, neurons=M1, vocabulary=D)
    for name, array in weights().items():
        np.testing.assert_array_equal(loaded[name], array.astype(np.float32))


@pytest.mark.parametrize(
    ("header", "length"),
    [
        (b"{}", 10**12), (b"{}", 2**64 - 1), (b"[]", None), (b"3", None), (b"{", None), (b"\xff\xff", None),
        (b"[" * 100_000, None), (json.dumps({"W": 3}).encode(), None),
        (json.dumps({"W": {"dtype": "F64"}}).encode(), None),
        (json.dumps({"W": {"dtype": "F64", "shape": [10**12], "data_offsets": [0, 8]}}).encode(), None),
        (json.dumps({"W": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}}).encode(), None),
        (json.dumps({"W": {"dtype": "F64", "shape": [-1, -2], "data_offsets": [0, 16]}}).encode(), None),
        (json.dumps({"W": {"dtype": "F64", "shape": [1.0], "data_offsets": [0, 8]}}).encode(), None),
        (json.dumps({"W": {"dtype": "F64", "shape": "x", "data_offsets": [0, 8]}}).encode(), None),
        (json.dumps({"W": {"dtype": ["F64"], "shape": [1], "data_offsets": [0, 8]}}).encode(), None),
        (json.dumps({"W": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 8]}}).encode(), None),
    ],
    ids=range(16),
)  # fmt: skip
def test_safetensors_that_lie_are_refused(tmp_path, header, length):
    assert message(headers, safetensors(tmp_path, header, bytes(8), length))
    assert message(headers, safetensors(tmp_path, b""))


def test_an_experiment_points_at_the_key_that_names_the_file(tmp_path):
    saved(tmp_path, weights(a=np.zeros(M1)) | task(labels=np.array([3, 1])))
    (tmp_path / "e.yaml").write_text(
        "name: x\ntask: {kind: file, path: file.npz, vocabulary: 5}\n"
        f"model: {{kind: cooccurrence_transformer, width: {M}, neurons: {M1}}}\n"
        "init: {kind: file, path: file.npz}\nflow: {kind: gradient, t1: 1}\n"
    )
    with pytest.raises(ExperimentErrors) as caught:
        load(tmp_path / "e.yaml")
    assert [(p.key, p.place.line, p.place.column) for p in caught.value.problems] == [
        ("task.path", 2, 26),
        ("init.path", 4, 26),
    ]
