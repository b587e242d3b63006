"""Experiments to start from, one YAML file each; their first line says what they show."""

import pathlib

_FOLDER = pathlib.Path(__file__).parent


def listed() -> dict[str, str]:
    """Name -> what it shows."""
    return {path.stem: _first_line(path) for path in sorted(_FOLDER.glob("*.yaml"))}


def text(name: str) -> str:
    """The experiment file of a name that `listed` knows."""
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf8")


def _first_line(path: pathlib.Path) -> str:
    with path.open(encoding="utf8") as file:
        return file.readline().strip("# \n")


def theory() -> dict[str, str]:
    """File name -> text of the folder that `flowsim new theory` writes."""
    return {path.name: path.read_text(encoding="utf8") for path in sorted((_FOLDER / "theory").glob("*.*"))}
