"""What pages are made of, and the templates that make HTML of it. Every text is escaped there."""

import base64
import dataclasses

import jinja2

TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("flowsim.report", "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows that start with their name; the last column holds remarks when there are three or more.

    **Fields:** `whole`: number of a column whose cells are not broken into lines.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    whole: int | None = None


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image inside the page itself. **Fields:** `source`: a data URL; `alternative`: for who does not see it."""

    source: str
    width: int
    height: int
    alternative: str

    @classmethod
    def png(cls, data: bytes, alternative: str) -> "Picture":
        width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))  # the header's first two numbers
        return cls(_inside("png", data), width, height, alternative)

    @classmethod
    def gif(cls, data: bytes, alternative: str) -> "Picture":
        width, height = (int.from_bytes(data[at : at + 2], "little") for at in (6, 8))
        return cls(_inside("gif", data), width, height, alternative)


def _inside(form: str, data: bytes) -> str:
    return f"data:image/{form};base64,{base64.b64encode(data).decode('ascii')}"


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture with its caption. **Fields:** `film`: the same in motion, folded away until the reader asks for it."""

    picture: Picture
    title: str
    caption: str
    film: Picture | None = None

    @property
    def wide(self) -> bool:
        """Is it a figure for the whole page, not one column?"""
        return self.picture.width > 1000


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading with what belongs to it, in this order. One that is empty is not shown.

    **Fields:** `remarks`: paragraphs at the end; `code`: (title, text), a title folds the text away.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    remarks: tuple[str, ...] = ()
    code: tuple[tuple[str, str], ...] = ()

    @property
    def shown(self) -> bool:
        return bool(self.paragraphs or self.tables or self.figures or self.remarks or self.code)
