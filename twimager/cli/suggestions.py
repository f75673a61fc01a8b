"""What was probably meant by arguments that mean nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path


def closest(name: str, known: Iterable[str]) -> str:
    """Return `: did you mean ...?` for a name that is nearly one that is known, else nothing."""
    found = get_close_matches(name, list(known), n=1)
    return f": did you mean {found[0]}?" if found else ""


def on_no_command(arguments: Sequence[str], commands: Iterable[str], program: str) -> str:
    """Return what to say of arguments that begin with neither an option nor a command."""
    if Path(arguments[0]).is_dir():
        folders = [*arguments[:2], "DIR"][:2]
        return f"to pair two folders: {program} --lr {folders[0]} --hr {folders[1]} --dest DIR"
    return f"no command '{arguments[0]}'{closest(arguments[0], commands)} ({program} -h lists all)"
