"""Experiment files as text: what is read, and what is refused before anything is built from it."""

import contextlib
import math
import time

import pytest

from flowsim.config.problems import ExperimentErrors, Place, Problem, did_you_mean, printable
from flowsim.config.yaml_scalars import meaning
from flowsim.config.yaml_source import MAX_DEPTH, MAX_VALUES, parse
from flowsim.config.yaml_text import MAX_BYTES, MAX_LINE, decode, read_text


def refused(raw: bytes | str) -> ExperimentErrors:
    with pytest.raises(ExperimentErrors) as caught:
        parse(decode(raw.encode() if isinstance(raw, str) else raw, "e.yaml"), "e.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("1.0e9", 1e9), ("-2", -2), ("+2", 2), (".5", 0.5), ("5.", 5.0), ("0x1F", 31), ("0o17", 15),
        ("017", 17), (".inf", math.inf), ("-.INF", -math.inf), ("true", True), ("FALSE", False), ("yes", "yes"),
        ("no", "no"), ("~", None), ("null", None), ("", None), ("2001-01-01", "2001-01-01"), ("1_000", "1_000"),
        ("1e", "1e"), ("inf", "inf"), ("-", "-"), ("0x", "0x"), ("1:30", "1:30"), ("=", "="), ("<<", "<<"),
    ],
)  # fmt: skip
def test_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    assert meaning(text) == value
    assert type(meaning(text)) is type(value)


def test_nan_and_numbers_beyond_float64():
    assert math.isnan(meaning(".nan"))
    with pytest.raises(ValueError, match="largest float64"):
        meaning("1e999")
    with pytest.raises(ValueError, match="at most"):
        meaning("9" * 5000)


def test_every_key_and_value_has_its_place():
    document = parse("a: 1\nb:\n  c: [x, {d: 2}]\n", "e.yaml")
    assert document.data == {"a": 1, "b": {"c": ["x", {"d": 2}]}}
    at = {path: (place.line, place.column) for path, place in document.values.items()}
    assert at[("a",)] == (1, 4)
    assert at[("b", "c", 0)] == (3, 7)
    assert at[("b", "c", 1, "d")] == (3, 14)
    key = document.keys[("b", "c", 1, "d")]
    assert (key.line, key.column, key.source) == (3, 11, "  c: [x, {d: 2}]")
    missing = document.place(("b", "c", 1, "e"))
    assert (missing.line, missing.column) == (3, 10), "what is missing is looked for where its parent stands"


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("a: 1\nb: [1,\n", 3, 1, "not YAML"),
        ("a: b: c\n", 1, 5, "not YAML"),
        ("a: 'x\n", 2, 1, "not YAML"),
        ("\ta: 1\n", 1, 1, "not YAML"),
        ('a: "\\UFFFFFFFF"\n', 1, 1, "not YAML"),
        ("a: 1\nb: 2\na: 3\n", 3, 1, "given twice (the first is at line 1)"),
        ("a: {b: 1, b: 2}\n", 1, 11, "given twice"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, 4, "tag"),
        ("a: !!int 3\n", 1, 4, "tag"),
        ("a: &x 1\nb: *x\n", 1, 4, "anchors and aliases"),
        ("a: &x [1]\nb: [*x, *x]\n", 2, 5, "anchors and aliases"),
        ("!!map {a: 1}\n", 1, 1, "tag"),
        ("!x a: 1\n", 1, 1, "plain word"),
        ("? [a]\n: 1\n", 1, 3, "a key must be a word"),
        ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
        ("%YAML 1.1\n---\na: 1\n", 2, 1, "use YAML 1.2"),
        ("", 1, 1, "is empty"),
        ("# nothing\n", 1, 1, "is empty"),
        ("- 1\n", 1, 1, "holds no keys"),
        ("just text\n", 1, 1, "holds no keys"),
        ("a: 1e999\n", 1, 4, "largest float64"),
        ("a: \x01\n", 1, 4, "U+0001"),
        ("a: x\x00y\n", 1, 5, "U+0000"),
        ("a: x\u2028y\n", 1, 5, "U+2028"),
        ("a: \x1b[2J\n", 1, 4, "U+001B"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_place(text, line, column, says):
    problems = refused(text).problems
    assert any((p.place.line, p.place.column) == (line, column) and says in p.message for p in problems), problems


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("a: 1".encode("utf-16"), "UTF-16"),
        (b"\xff\xfe\x00\x00a", "UTF-32"),
        (b"\xef\xbb\xbfa: 1", "byte-order mark"),
        (b"a: 1\nb: \xe9t\xe9\n", "0xe9"),
        (b"\x89HDF\r\n\x1a\n", "0x89"),
    ],
)
def test_wrong_encodings_are_refused(raw, says):
    assert says in str(refused(raw))


def test_the_place_of_a_wrong_byte():
    place = refused(b"a: 1\nb: \xe9t\n").problems[0].place
    assert (place.line, place.column) == (2, 4)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "text",
    [
        "[" * 10_000_000, "[" * 150_000, "- " * 100_000, "{a: " * 50_000, "? " * 90_000, "a:\n" + " -\n" * 300_000,
        "\n".join(" " * i + f"k{i}:" for i in range(600)), "[" + "1," * 90_000 + "]", "a: 1\n" * 200_000, "!" * 190_000,
        "a: |\n" + " x\n" * 340_000, '"' + "\\n" * 90_000 + '": 1', "&a " * 60_000, "{" * 2000 + "}" * 2000,
        "".join(f"a{i}: &a{i} [*a{max(i - 1, 0)}, *a{max(i - 1, 0)}]\n" for i in range(5_000)), "#" * 1_000_000,
        "a: " + "\n\n" * 400_000 + "b", "a: >\n" + " y\n\n" * 200_000,
    ],
    ids=lambda text: text[:6].encode("unicode_escape").decode(),
)  # fmt: skip
def test_floods_and_deep_nesting_end_quickly(text):
    start = time.process_time()  # the wall's clock would measure the tests beside this one, too
    with contextlib.suppress(ExperimentErrors):
        parse(decode(text.encode(), "e.yaml"), "e.yaml")
    assert time.process_time() - start < 4


@pytest.mark.slow
def test_the_limits_are_where_they_are_said_to_be():
    assert "larger than" in str(refused(b"#" * (MAX_BYTES + 1)))
    assert "characters" in str(refused("#" * (MAX_LINE + 1)))
    assert "deep" in str(refused("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2)))
    assert "values" in str(refused("a: [" + "1, " * MAX_VALUES + "1]"))
    nested = parse("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH, "e.yaml")
    assert isinstance(nested.data["a"], list)


def test_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path, tmp_path / ("x" * 300), "nul\0.yaml"):
        with pytest.raises(ExperimentErrors, match="cannot be read"):
            read_text(path)


def test_messages_cannot_move_the_cursor():
    assert printable("a\x1b[2J\u202eb\n") == "a\\x1b[2J\\u202eb\\n"
    assert printable("größe µ 漢") == "größe µ 漢"
    shown = str(Problem(Place("e\x1b.yaml", 1, 3, "a:\t\x1b[2Jx"), "a", "wrong \x07"))
    assert all(c.isprintable() or c == "\n" for c in shown)


def test_a_long_line_is_cut_around_the_place():
    line = "x" * 500 + "HERE" + "y" * 500
    shown, caret = str(Problem(Place("e.yaml", 1, 501, line), "a", "wrong")).splitlines()[1:]
    assert len(shown) < 120
    assert shown[caret.index("^") :].startswith("HERE")


def test_did_you_mean():
    assert did_you_mean("gradeint", ["gradient", "momentum"]) == "did you mean 'gradient'?"
    assert did_you_mean("qqqq", ["gradient", "momentum"]) == "known are gradient, momentum."
