"""Values written into the text of an experiment, whose comments and layout stay."""

import io
from collections.abc import Sequence

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from .load import load_text
from .overrides import ALIASES


def filled(text: str, changes: Sequence[str], origin: str) -> str:
    """The text with every change `key.sub=value` made in it: the file of the same experiment as text and overrides.

    **Raises:** `ExperimentErrors` for a change that an experiment cannot have.
    """
    wanted = load_text(text, origin=origin, overrides=changes)
    for change in changes:
        key, _, value = change.partition("=")
        names = key.split(".")
        text = _with(text, [ALIASES.get(names[0], names[0]), *names[1:]], value.strip() or "null")
    assert load_text(text, origin=origin) == wanted, "the text says what the overrides say"
    return text


def _with(text: str, names: list[str], value: str) -> str:
    parent = YAML(typ="rt").compose(io.StringIO(text))
    assert isinstance(parent, MappingNode)
    for depth, name in enumerate(names):
        last = depth == len(names) - 1
        pair = next(((k, v) for k, v in parent.value if k.value == name), None)
        if pair is None:
            return _added(text, parent, name, _nested(names[depth + 1 :], value))
        key, node = pair
        if last:
            return _replaced(text, key, node, value)
        if isinstance(node, ScalarNode):  # `init: kaiming_normal` is short for {kind: kaiming_normal}
            kind = f"kind: {node.value}, " if node.value else ""
            inner = _nested(names[depth + 2 :], value)
            return _replaced(text, key, node, f"{{{kind}{names[depth + 1]}: {inner}}}")
        assert isinstance(node, MappingNode), "a list is replaced as a whole; the overrides refused this"
        parent = node
    raise AssertionError("a change has a key")


def _nested(names: Sequence[str], value: str) -> str:
    for name in reversed(names):
        value = f"{{{name}: {value}}}"
    return value


def _replaced(text: str, key: Node, node: Node, value: str) -> str:
    """With another value; the comment behind it keeps its column where there is room."""
    block = isinstance(node, CollectionNode) and not node.flow_style
    start, end = (key.end_mark.index + 1 if block else node.start_mark.index), _end(node)
    value = f" {value}" if block else value
    rest = text[end:]
    if rest.lstrip(" ").startswith("#"):
        spaces = len(rest) - len(rest.lstrip(" "))
        rest = " " * max(spaces + (end - start) - len(value), 2) + rest.lstrip(" ")
    return text[:start] + value + rest


def _added(text: str, parent: MappingNode, name: str, value: str) -> str:
    """With one more key, at the end of its section."""
    end = _end(parent)
    if parent.flow_style:
        comma = ", " if parent.value else ""
        return f"{text[: end - 1]}{comma}{name}: {value}{text[end - 1 :]}"
    line = text.find("\n", end)
    line = len(text) if line < 0 else line
    indent = " " * parent.value[0][0].start_mark.column
    return f"{text[:line]}\n{indent}{name}: {value}{text[line:]}"


def _end(node: Node) -> int:
    """Where a value ends: of what is written in lines, where its last entry does."""
    if isinstance(node, CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(node, MappingNode) else last)
    return node.end_mark.index
