"""What the program is called where it is started, for usages and for the commands that it suggests."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path


def quoted(word: str) -> str:
    """Return a word as it is typed in a terminal."""
    return subprocess.list2cmdline([word]) if sys.platform == "win32" else shlex.quote(word)


def program() -> str:
    """Return what is typed to start this program again, arguments apart."""
    started = Path(sys.argv[0])
    if started.name == "twimager.py":
        return f"{_typed('python', Path(sys.executable))} {quoted(str(started))}"
    if started.parts[-2:] == ("twimager", "__main__.py"):
        return f"{_typed('python', Path(sys.executable))} -m twimager"
    return _typed("twimager", started) if started.stem == "twimager" else "twimager"


def _typed(name: str, path: Path) -> str:
    """Return the name of a program where that finds the one at `path`, else where it is.

    The `python` of another environment may be a link to the same file: they are told apart by their folders.
    """
    found = shutil.which(name)
    if found and _is_same(Path(found), path):
        return name
    where = os.path.abspath(path)
    below = os.path.relpath(where) if Path(where).is_relative_to(Path.cwd()) else where
    return quoted(below if os.path.dirname(below) else os.path.join(os.curdir, below))


def _is_same(found: Path, path: Path) -> bool:
    """Tell whether two files are one in one folder; a launcher's path on Windows lacks its extension."""
    return found.parent.samefile(path.parent) and (found.stem == path.stem or found.samefile(path))
