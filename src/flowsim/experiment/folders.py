"""The folder in which an experiment's paths start, as a run folder remembers it."""

import pathlib

_HOME = "~"


def written(source: pathlib.Path, run: pathlib.Path) -> str:
    """How `meta.json` says where the experiment was: from the run folder, or from the user's home.

    Run folders are shared: an absolute path would carry the user's name, and would be wrong elsewhere.
    """
    source, run, home = source.resolve(), run.resolve(), pathlib.Path.home().resolve()
    if source.is_relative_to(home) and not run.is_relative_to(home):
        return (pathlib.Path(_HOME) / source.relative_to(home)).as_posix()
    return pathlib.PurePath(_relative(source, run)).as_posix()


def read(text: str, run: pathlib.Path) -> pathlib.Path:
    """The folder that `written` gave; an absolute one is as older versions wrote it."""
    path = pathlib.Path(text)
    return path.expanduser() if text.startswith(_HOME) else run / path


def _relative(source: pathlib.Path, run: pathlib.Path) -> str:
    try:
        return (
            str(source.relative_to(run, walk_up=True))
            if hasattr(pathlib, "UnsupportedOperation")
            else _walk(source, run)
        )
    except ValueError:  # on another drive
        return str(source)


def _walk(source: pathlib.Path, run: pathlib.Path) -> str:
    import os

    return os.path.relpath(source, run)
