"""Mutated experiment files, the same ones for the same seed."""

import copy
import json
import pathlib
import random
from collections.abc import Iterator

from flowsim.config import templates
from flowsim.config.yaml_source import parse

VALUES = (
    None, True, False, 0, 1, -1, 3, 12, 60, 2**31, 2**64, 10**30, 1e-300, 1e300, -0.0, 0.5, 1.5, "", "x", "128",
    "auto", "kind", "../../etc/passwd", "a\0b", "\x1b[2J", "é" * 200, "\ud800", "x" * 5000, [], {}, [[]], [None],
    {"kind": None}, {"kind": "file", "path": "."}, {"kind": "file", "path": "none.npz", "vocabulary": 9},
    {"kind": ["file"]}, {"times": [0, 1, 1]}, {"times": [3, 2, "x", None, {}]}, {"times": list(range(300))},
    ["phase1_end"] * 3, [{"kind": "margin_reached"}], {"method": "gram"}, {"spacing": "log", "first": 1e9}, {"": ""},
    {"a": {"b": {"c": 1}}}, list(range(50)), {str(i): i for i in range(50)},
)  # fmt: skip
TEXTS = (
    ".nan", ".inf", "-.inf", "1e999", "-1e999", "0x", "0o8", "1_0", "&a 1", "*a", "!!python/name:os.system x",
    "!!int 3", "<<: *a", "{", "[", "}", "'", '"', "|", ">", "%", "@", "`", "? ", "- ", ": ", "\t", "---", "...", "#",
    "\r", "\u2028", "\ufeff", "\x00", "&", "!", "{a: " * 40, "[" * 40, "- " * 40, "\\", '"\\xZZ"',
    '"\\UFFFFFFFF"', "%YAML 1.1\n---\n",
)  # fmt: skip
EXPERIMENTS = pathlib.Path(__file__).parent.parent.parent / "experiments"
KEYS = (
    "kind",
    "path",
    "times",
    "seeds",
    "wdith",
    "",
    "notes",
    "name",
    "t1",
    "rtol",
    "step",
    "scale",
    "0",
    "null",
    "x" * 300,
)


def mutated(seed: int, count: int) -> Iterator[bytes]:
    """`count` files, of the templates and of `experiments/`.

    About half are changed as data, half as text, some as bytes; up to three changes each.
    """
    rng = random.Random(seed)
    texts = [templates.text(kind) for kind in templates.listed()]
    texts += [path.read_text("utf8") for path in sorted(EXPERIMENTS.glob("*.yaml"))]
    trees = [parse(text, "base").data for text in texts]
    for _ in range(count):
        if rng.random() < 0.5:
            tree = copy.deepcopy(rng.choice(trees))
            for _ in range(rng.randint(1, 3)):
                _change_tree(rng, tree)
            raw = _written(rng, tree).encode("utf-8", "surrogatepass")
        else:
            text = rng.choice(texts)
            for _ in range(rng.randint(1, 3)):
                text = _change_text(rng, text)
            raw = text.encode("utf-8", "surrogatepass")
        yield _change_bytes(rng, raw) if rng.random() < 0.1 else raw


def _written(rng, tree) -> str:
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 1)))
    return text.replace("Infinity", ".inf").replace("NaN", ".nan")


def _nodes(node) -> list:
    found = [node] if isinstance(node, dict | list) and node else []
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        found += _nodes(child)
    return found


def _change_tree(rng, tree) -> None:
    nodes = _nodes(tree)
    if not nodes:
        return
    node = rng.choice(nodes)
    where = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
    kind = rng.randrange(6)
    if kind == 0:
        del node[where]
    elif kind == 1 and isinstance(node, dict):
        node[rng.choice(KEYS)] = node.pop(where)
    elif kind == 2 and isinstance(node, dict):
        node[rng.choice(KEYS)] = copy.deepcopy(rng.choice(VALUES))
    elif kind == 3:
        for _ in range(rng.choice((1, 5, 30))):
            node[where] = {"kind": node[where]} if rng.random() < 0.5 else [node[where]]
    elif kind == 4 and isinstance(node[where], int | float):
        node[where] = rng.choice((-node[where], node[where] * 1e6, node[where] / 7, str(node[where]), not node[where]))
    else:
        node[where] = copy.deepcopy(rng.choice(VALUES))


def _change_text(rng, text: str) -> str:
    lines = text.split("\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(6)
    if kind == 0:
        lines.insert(i, lines[j])
    elif kind == 1:
        del lines[i]
    elif kind == 2:
        lines[i] = lines[i][rng.randint(0, 4) :] if rng.random() < 0.5 else " " * rng.randint(1, 4) + lines[i]
    elif kind == 3 and ": " in lines[i]:
        lines[i] = lines[i].split(": ")[0] + ": " + rng.choice(TEXTS)
    else:
        at = rng.randint(0, len(lines[i]))
        lines[i] = lines[i][:at] + rng.choice(TEXTS) + lines[i][at + rng.randint(0, 2) :]
    return "\n".join(lines)


def _change_bytes(rng, raw: bytes) -> bytes:
    out = bytearray(raw)
    for _ in range(rng.choice((1, 1, 3, 200))):
        at = rng.randint(0, len(out))
        out[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 4))
    return bytes(out)
