"""Install flowsim in a fresh environment, at its lowest declared or at the newest versions, and run the quick tests.

    python -m tests.versions lowest|newest [--python 3.12] [--folder DIR] [pytest's arguments]

Without arguments for pytest: `-m quick`. `--python`: a version that pyenv or the path has; this one by default.
`--folder`: where the environment is made and stays; it is a temporary one by default.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .bounds import ROOT, lowest, requirements


def interpreter(version: str | None) -> str:
    """The Python of this version: pyenv's, or the path's."""
    if version is None:
        return sys.executable
    installed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(installed.glob(f"{version}*/bin/python"))
    path = str(found[-1]) if found else shutil.which(f"python{version}")
    if path is None:
        raise SystemExit(f"there is no Python {version} here: neither pyenv nor the path has one.")
    return path


def install(which: str, python: str, folder: Path) -> Path:
    """A fresh environment in `folder`, and its Python."""
    subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
    inside = folder / "bin" / "python"
    pip = [str(inside), "-m", "pip", "install", "-q", "-e", f"{ROOT}[test]"]
    if which == "lowest":
        pins = folder / "lowest.txt"
        pins.write_text("\n".join(lowest(requirements())) + "\n")
        pip += ["-c", str(pins)]
    subprocess.run(pip, check=True)
    return inside


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.versions", description=__doc__.split("\n")[0])
    parser.add_argument("which", choices=("lowest", "newest"))
    parser.add_argument("--python")
    parser.add_argument("--folder", type=Path)
    known, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="flowsim-versions-") as temporary:
        folder = (known.folder or Path(temporary) / "environment").absolute()
        python = install(known.which, interpreter(known.python), folder)
        about = "import sys, importlib.metadata as m; print('Python', sys.version.split()[0], *sys.argv[1:])"
        names = [requirement.name for requirement in requirements()]
        told = f"{about}; print(*(f'{{n}} {{m.version(n)}}' for n in {names}), sep=', ')"
        subprocess.run([str(python), "-c", told, known.which], check=True)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        tests = [str(python), "-m", "pytest", "-p", "no:cacheprovider", *(rest or ["-m", "quick"])]
        return subprocess.run(tests, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
