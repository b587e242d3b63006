"""The arrays that an experiment names: samples, weights, embeddings. Read without pickle, checked before use."""

import os
from collections.abc import Callable, Iterator

import numpy as np

from .array_files import ArrayErrors, Header, headers, read

WEIGHTS = ("W", "W_V", "W_K", "W_Q", "a")
GROUPS = 4  # both, first, second, neither
LARGEST_TASK = 10**8  # tokens


def load_task_arrays(path: str | os.PathLike, vocabulary: int) -> dict[str, np.ndarray]:
    """Samples: `tokens` (samples, length) in [0, vocabulary), `labels` (samples,) ±1, and `groups` (samples,) in
    0 … 3 if the file has them.

    **Raises:** `ArrayErrors` with everything that is wrong.
    """
    declared = headers(path)
    _need(declared, ("tokens", "labels"), path)
    tokens = declared["tokens"]
    if len(tokens.shape) != 2 or min(tokens.shape) < 1 or tokens.size // tokens.dtype.itemsize > LARGEST_TASK:
        raise ArrayErrors([f"tokens must be (samples, length), at most {LARGEST_TASK:.0e} in all, got {tokens.shape}"])
    wrong = list(_shape(declared, "labels", (tokens.shape[0],), "samples"))
    if "groups" in declared:
        wrong += _shape(declared, "groups", (tokens.shape[0],), "samples")
        wrong += _integers("groups", declared["groups"])
    _raise(wrong + list(_integers("tokens", tokens)))
    arrays = {name: read(path, declared[name]) for name in ("tokens", "labels", "groups") if name in declared}
    wrong += _inside("tokens", arrays["tokens"], vocabulary, "raise task.vocabulary, or renumber the words")
    wrong += _signs("labels", arrays["labels"])
    if "groups" in arrays:
        wrong += _inside("groups", arrays["groups"], GROUPS, "0 both, 1 first, 2 second, 3 neither")
    _raise(wrong)
    return arrays


def load_weights(
    path: str | os.PathLike,
    *,
    width: int | float | None = None,
    neurons: int | None = None,
    vocabulary: int | None = None,
) -> dict[str, np.ndarray]:
    """Weights `W` (neurons, width), `W_V`, `W_K`, `W_Q` (width, vocabulary) and `a` (neurons,) ±1.

    **Arguments:** `width`, `neurons`, `vocabulary`: what the experiment asks for; None where that is unknown.

    **Raises:** `ArrayErrors` with everything that is wrong.
    """
    declared = headers(path)
    _need(declared, WEIGHTS, path)
    W, W_V = declared["W"], declared["W_V"]
    if len(W.shape) != 2 or len(W_V.shape) != 2:
        raise ArrayErrors([f"W and W_V must be matrices, got {W.shape} and {W_V.shape}"])
    m1, m, d = W.shape[0], W.shape[1], W_V.shape[1]
    wrong = [
        f"{name} is {has} in the file, but {key} is {asked}: set {key} to {has}, or give other weights"
        for name, key, has, asked in (
            ("width", "model.width", m, width),
            ("neurons", "model.neurons", m1, neurons),
            ("vocabulary", "task.vocabulary", d, vocabulary),
        )
        if asked is not None and has != asked
    ]
    for name in ("W_V", "W_K", "W_Q"):
        wrong += _shape(declared, name, (m, d), "width, vocabulary")
    wrong += _shape(declared, "a", (m1,), "neurons")
    _raise(wrong)
    arrays = {name: read(path, declared[name]) for name in WEIGHTS}
    for name in WEIGHTS[:-1]:
        wrong += _finite(name, arrays[name])
    _raise(wrong + list(_signs("a", arrays["a"])))
    return arrays


def load_embedding(path: str | os.PathLike, vocabulary: int) -> np.ndarray:
    """The array `embedding` (vocabulary, vocabulary) with one column for each word.

    **Raises:** `ArrayErrors` with everything that is wrong.
    """
    declared = headers(path)
    _need(declared, ("embedding",), path)
    _raise(list(_shape(declared, "embedding", (vocabulary, vocabulary), "vocabulary, vocabulary")))
    embedding = read(path, declared["embedding"])
    _raise(list(_finite("embedding", embedding)))
    return embedding


def _need(declared: dict[str, Header], names: tuple[str, ...], path: str | os.PathLike) -> None:
    missing = [name for name in names if name not in declared]
    if missing:
        held = ", ".join(sorted(declared)[:10]) or "nothing"
        raise ArrayErrors([f"{path} lacks {', '.join(missing)}; it must hold {', '.join(names)}, and holds {held}"])


def _shape(declared: dict[str, Header], name: str, shape: tuple[int, ...], axes: str) -> Iterator[str]:
    if declared[name].shape != shape:
        yield f"{name} must be ({axes}) = {shape}, got {declared[name].shape}"


def _integers(name: str, header: Header) -> Iterator[str]:
    if header.dtype.kind not in "iu":
        yield f"{name} must be integers, got {header.dtype}"


def _inside(name: str, values: np.ndarray, limit: int, remedy: str) -> Iterator[str]:
    bad = np.argwhere((values < 0) | (values >= limit))
    if bad.size:
        where = tuple(int(i) for i in bad[0])
        yield f"{name} must lie in [0, {limit}), got {values[where]} at {list(where)}: {remedy}"


def _signs(name: str, values: np.ndarray) -> Iterator[str]:
    bad = np.flatnonzero(np.abs(values) != 1) if values.dtype.kind in "fi" else np.arange(values.size)
    if bad.size:
        yield f"{name} must be -1 or +1, got {values[bad[0]]} at [{bad[0]}]"


def _finite(name: str, values: np.ndarray) -> Iterator[str]:
    if values.dtype.kind != "f":
        yield f"{name} must be floating-point numbers, got {values.dtype}"
    elif not np.isfinite(values).all():
        where = [int(i) for i in np.argwhere(~np.isfinite(values))[0]]
        yield f"{name} must be finite, got {values[tuple(where)]} at {where}"


def _raise(messages: list[str]) -> None:
    if messages:
        raise ArrayErrors(messages)


def refusals(field: str, load: Callable[[], object]) -> Iterator[tuple[str, str]]:
    """What is wrong with the file that a field names, found by loading it."""
    try:
        load()
    except ArrayErrors as error:
        for message in error.messages:
            yield field, message
