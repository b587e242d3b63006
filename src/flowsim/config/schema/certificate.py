"""`certificate`: how the error of a result is estimated."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from ..base import Section, Short, about, wrong


class Certificate(Section):
    """How the error of a result is estimated. `true` and `false` in a file are short for `auto` and `none`."""

    method: Literal["auto", "solver", "gram", "none"] = about(
        "`solver` integrates again by another solver, `gram` integrates the Gram system, `auto` chooses, `none` leaves "
        "it out.",
        "auto",
    )


def _short(value: Any) -> Any:
    match value:
        case bool():
            return {"method": "auto" if value else "none"}
        case dict() | Certificate():
            return value
        case _:
            raise wrong("must be true, false, or {method: auto | solver | gram}")


CertificateConfig = Annotated[Certificate, BeforeValidator(_short), Short({"type": "boolean"})]
