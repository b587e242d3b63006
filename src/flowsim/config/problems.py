"""What is wrong with an experiment, and where: the records that every refusal is made of."""

import dataclasses
import difflib
from collections.abc import Iterable, Sequence

_WIDEST = 100  # columns of a source line that are shown


@dataclasses.dataclass(frozen=True)
class Place:
    """Where something was written.

    **Fields:** `origin`: a file's name, or `override flow.t1=-3`; `line` and `column` from 1, None outside files;
    `source`: the line's text, None if it is not to be shown.
    """

    origin: str
    line: int | None = None
    column: int | None = None
    source: str | None = None

    def __str__(self) -> str:
        position = "" if self.line is None else f":{self.line}:{self.column}"
        return printable(self.origin) + position


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    **Fields:** `place`; `key`: dotted, as in `solver.rtol`, empty for the file as a whole; `message`: what is
    allowed, what was given, what to do.
    """

    place: Place
    key: str
    message: str

    def __str__(self) -> str:
        """`experiment.yaml:14:9 solver.rtol: must be > 0, got -1e-3`, the line, and a caret under the place."""
        head = f"{self.place} {printable(shortened(self.key, 120))}: " if self.key else f"{self.place} "
        text = head + printable(self.message)
        if self.place.source is None or self.place.column is None:
            return text
        line, column = _window(self.place.source, self.place.column)
        return f"{text}\n    {line}\n    {' ' * (column - 1)}^"

    def record(self) -> dict:
        """For `--json`."""
        place = self.place
        return {
            "origin": place.origin,
            "line": place.line,
            "column": place.column,
            "key": self.key,
            "message": self.message,
        }


class ExperimentErrors(Exception):
    """An experiment that cannot be run, with everything that is wrong with it in `.problems`."""

    def __init__(self, problems: Iterable[Problem]):
        found = sorted(set(problems), key=_order)
        assert found, "an error without a problem"
        self.problems: tuple[Problem, ...] = tuple(found)
        Exception.__init__(self, "\n".join(map(str, found)))


def refusal(place: Place, message: str, key: str = "") -> ExperimentErrors:
    """The errors of a single thing that is wrong."""
    return ExperimentErrors([Problem(place, key, message)])


def _order(problem: Problem):
    place = problem.place
    return (place.line is None, place.line or 0, place.column or 0, place.origin, problem.key, problem.message)


def printable(text: str) -> str:
    """`text` with everything that could move a terminal's cursor or turn its text around written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _window(line: str, column: int) -> tuple[str, int]:
    """The part of a line that is shown, and the place's column in it."""
    line = "".join(c if c.isprintable() else " " if c == "\t" else "�" for c in line)
    if len(line) <= _WIDEST:
        return line, column
    start = max(0, min(column - 1 - _WIDEST // 2, len(line) - _WIDEST))
    head, tail = "…" if start else "", "…" if start + _WIDEST < len(line) else ""
    return head + line[start : start + _WIDEST] + tail, column - start + len(head)


_SYNONYMS = {  # other packages' words for the same thing
    "mse": "squared", "l2": "squared", "mean_squared_error": "squared", "quadratic": "squared",
    "bce": "logistic", "binary_cross_entropy": "logistic", "softmax": "cross_entropy", "ce": "cross_entropy",
    "nll": "cross_entropy", "exp": "exponential",
    "rk45": "dopri5", "dormandprince": "dopri5", "ode45": "dopri5", "rk4": "dopri5", "rk23": "bosh3", "ode23": "bosh3",
    "dop853": "dopri8", "bdf": "kvaerno5", "radau": "kvaerno5", "lsoda": "auto", "forward_euler": "euler",
    "xavier": "kaiming_uniform", "glorot": "kaiming_uniform", "he": "kaiming_normal", "normal": "gaussian",
    "gd": "sgd", "gradient_descent": "sgd", "gradient_flow": "gradient", "attention": "transformer",
    "fcnn": "mlp", "feedforward": "mlp", "optimisers": "descent", "optimizers": "descent", "hessian": "sharpness",
    "top_eigenvalue": "sharpness", "test_loss": "fresh", "optimizer": "descent", "epochs": "descent",
    "plots": "figures",
}  # fmt: skip


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that was probably meant."""
    meant = _SYNONYMS.get(word[:64].lower())
    if meant in known:
        return meant
    near = difflib.get_close_matches(word[:64].lower(), known, n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A clause that names the nearest known word, or all of them."""
    near = nearest(word, known)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"known are {', '.join(known)}." if known else ""


def ended(text: str) -> str:
    """A sentence with a full stop, unless it asks something."""
    return text if text.endswith("?") else f"{text}."


def dotted(path: Iterable[str | int]) -> str:
    """`('events', 0, 'margin')` as `events[0].margin`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shortened(value: object, limit: int = 60) -> str:
    """A value as it is quoted in a message."""
    text = str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
