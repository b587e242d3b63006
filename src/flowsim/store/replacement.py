"""`--force`: a new run takes the place of an old one, which stays whole until the new one is complete.

The new run is written into `.new` inside the run folder. When it is complete, the old run's own files are removed,
`.new` becomes `.moving`, and its files are renamed into the run folder, `meta.json` last. A process that is killed on
the way leaves enough behind for the next one to go on from there. What flowsim did not write is never touched.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterable, Iterator

from .._files import RefusedError, is_temporary, make_folder
from .segments import CHECKPOINT, SEGMENTS, Segments, is_piece

_NEW, _MOVING = ".new", ".moving"
_META = "meta.json"
_OWN = re.compile(
    r"(meta|summary|claims)\.json|(experiment|resolved)\.yaml|trajectory\.nc|parameters\.safetensors|report\.html"
    rf"|log\.txt|continuation\.safetensors|{re.escape(CHECKPOINT)}|(discrete|descent)/\d{{2,}}\.nc"
)
_HASH = re.compile(r"[0-9a-f]{16}")
_OF_MEMBERS = re.compile(r"(running|failed)/[0-9a-f]{16}\.json|jobs/flowsim-[0-9a-f]+\.json|logs/[\w.-]+\.log")
_FIGURE = re.compile(r"figures/(?P<name>[^/]+)\.(png|pdf|gif)|figures/claims/(?P<claim>[^/]+)\.png")
_MEMBERS = ("sweep.json", "members.jsonl", "members", "running", "failed", "logs", "jobs")
"""Of a run that consists of many: see `flowsim.sweep.folder`."""
_FOLDERS = ("figures/claims", "figures", "discrete", "descent", SEGMENTS)


class Replacement:
    """The change from the run that a folder holds to the next one."""

    def __init__(self, home: pathlib.Path):
        self._home, self._new, self._moving = home, home / _NEW, home / _MOVING

    def current(self) -> pathlib.Path:
        """Where the files of the run are that is written, or that would be resumed."""
        return self._new if (self._new / _META).is_file() else self._home

    def coming(self) -> pathlib.Path:
        """Where `begin` will put a fresh run."""
        return self._new if (self._home / _META).is_file() else self._home

    def tidy(self) -> None:
        """Finish what a killed process began, and remove its temporary files. Call it with the lock held."""
        for folder in (self._home, *(self._home / name for name in _FOLDERS), self._new):
            if folder.is_dir() and not folder.is_symlink():
                for path in folder.iterdir():
                    if is_temporary(path.name):
                        path.unlink(missing_ok=True)
        self._move()
        if self._new.is_dir() and not self._new.is_symlink() and not (self._new / _META).is_file():
            shutil.rmtree(self._new)
        if (self._new / "summary.json").is_file() and not (self._new / CHECKPOINT).exists():
            self.end()

    def begin(self) -> pathlib.Path:
        """Where a fresh run goes: beside the run that is there, or straight into a folder that holds none."""
        if self._new.is_symlink():
            raise RefusedError(f"{self._new}: is a symbolic link, which flowsim does not write through; remove it")
        if self._new.is_dir():
            shutil.rmtree(self._new)
        if not (self._home / _META).is_file():
            (self._home / CHECKPOINT).unlink(missing_ok=True)
            return self._home
        self._new.mkdir()
        return self._new

    def end(self) -> None:
        """The new run is complete: it takes the old one's place."""
        if not (self._new / _META).is_file():
            return
        Segments(self._home).remove()
        own = sorted(_own(self._home), key=lambda path: path != self._home / _META)
        for path in own:  # meta.json first: without it nobody takes the rest for a run
            path.unlink(missing_ok=True)
        _remove_empty(*(self._home / name for name in _FOLDERS))
        _remove_members(self._home)
        os.replace(self._new, self._moving)
        self._move()

    def _move(self) -> None:
        if not self._moving.is_dir() or self._moving.is_symlink():
            return
        files = [path for path in self._moving.rglob("*") if not path.is_dir()]
        for path in sorted(files, key=lambda path: path == self._moving / _META):  # meta.json last
            target = self._home / path.relative_to(self._moving)
            for folder in reversed(target.relative_to(self._home).parents[:-1]):
                make_folder(self._home / folder)
            os.replace(path, target)
        shutil.rmtree(self._moving)


def resumable(home: pathlib.Path) -> pathlib.Path:
    """Where the files are of the run that `--resume` takes up: of a replacement that has begun, else of the folder."""
    return Replacement(home).current()


def refuse_inputs(home: pathlib.Path, inputs: Iterable[pathlib.Path]) -> None:
    """A run must not replace what it reads.

    **Raises:** `RefusedError` that names the input.
    """
    within = home.resolve()
    for path in inputs:
        place = path.resolve()
        if place.is_relative_to(within) and _could_be_own(place.relative_to(within).as_posix()):
            raise RefusedError(
                f"{path}: the experiment reads this file, and the run folder {home} would replace it: choose another "
                "--out, or copy the file elsewhere"
            )


def _could_be_own(name: str) -> bool:
    top = name.split("/", 1)[0]
    return bool(_OWN.fullmatch(name) or _FIGURE.fullmatch(name)) or top in (_NEW, _MOVING, *_MEMBERS) or _is_piece(name)


def _is_piece(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return folder == SEGMENTS and (is_piece(file) or is_temporary(file))


def _remove_members(home: pathlib.Path) -> None:
    """What a run of many has beside its own files, but for what flowsim did not write."""
    if not (home / _MEMBERS[0]).is_file():
        return
    (home / _MEMBERS[0]).unlink()
    (home / _MEMBERS[1]).unlink(missing_ok=True)
    members, *others = (home / name for name in _MEMBERS[2:] if not (home / name).is_symlink())
    for folder in (path for path in members.glob("*") if _HASH.fullmatch(path.name) and not path.is_symlink()):
        Segments(folder).remove()
        for path in (*_own(folder), folder / ".lock"):
            path.unlink(missing_ok=True)
        _remove_empty(*(folder / name for name in _FOLDERS), folder)
    for folder in others:
        for path in folder.glob("*"):
            if _OF_MEMBERS.fullmatch(f"{folder.name}/{path.name}"):
                path.unlink(missing_ok=True)
    _remove_empty(members, *others)


def _remove_empty(*folders: pathlib.Path) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # it holds something else, or is not there
            folder.rmdir()


def _own(home: pathlib.Path) -> Iterator[pathlib.Path]:
    """Files of the run in a folder; of figures those that the run says it drew."""
    drawn, judged = _names(home / _META, "figures"), _names(home / "claims.json", "claims")
    for folder in (home, *(home / name for name in _FOLDERS)):
        if not folder.is_dir() or (folder != home and _linked(folder, home)):
            continue
        for path in folder.iterdir():
            name = path.relative_to(home).as_posix()
            figure = _FIGURE.fullmatch(name)
            of_figure = figure is not None and (figure["name"] in drawn or figure["claim"] in judged)
            if (_OWN.fullmatch(name) or of_figure or _is_piece(name)) and not (path.is_dir() and not path.is_symlink()):
                yield path


def _linked(folder: pathlib.Path, home: pathlib.Path) -> bool:
    """Is a folder, or one between it and the run folder, a link to elsewhere?"""
    return any(part.is_symlink() for part in (folder, *folder.parents) if part != home and home in part.parents)


def _names(path: pathlib.Path, key: str) -> set[str]:
    """What a run's own list says that it drew; nothing where the list cannot be read."""
    try:
        found = json.loads(path.read_text("utf8"))[key]
        ids = [item.get("kind", item.get("id")) if isinstance(item, dict) else item for item in found]
        return {re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_") for name in ids}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
