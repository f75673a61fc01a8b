"""The command line of a run, from the settings that its report holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from twimager.options import Options, plain_settings
from twimager.runtime.program import program, quoted

# Options whose names on the command line are others; what is on by default is switched off.
NAMES = {"loaders": "for", "mirror": "no_mirror", "negative": "no_negative"}
# How many workers there were, where, and by how much memory, makes no other pairs.
OF_THE_MACHINE = ("jobs", "memory", "scheduler", "index_memory")


def command_line(settings: Mapping[str, Any]) -> str:
    """Return the command that runs with these settings; what is by default is left out, and what is unknown here."""
    usual = plain_settings(Options(Path(), Path()))
    first = [name for name in ("lr", "hr", "dest") if settings.get(name)]
    others = [name for name in usual if name not in (*first, *OF_THE_MACHINE) and name in settings]
    changed = [*first, *(name for name in others if settings[name] != {**usual, "dry": False}[name])]
    words = [word for name in changed for word in _words(NAMES.get(name, name), settings[name])]
    return " ".join([program(), *map(quoted, words)])


def _words(name: str, value: Any) -> Iterator[str]:
    yield f"--{name}"
    if not isinstance(value, bool):
        yield from map(str, value if isinstance(value, list) else [value])
