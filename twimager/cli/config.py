"""Options of the main job that come from elsewhere than the command line: a preset, and a configuration file."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from twimager.cli.common import underscored
from twimager.cli.pair import parser
from twimager.cli.presets import CONFIG, PRESETS
from twimager.cli.suggestions import closest
from twimager.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from twimager.runtime.console import Console

# Options of which a file may not speak: what it is itself, and what ends before anything is done.
NOT_IN_FILES = {"config", "help", "version"}
# Nor may one that nobody has named: it may have come along with the images. These write elsewhere than into DEST, or
# over what is there, or trust another machine.
ONLY_IF_NAMED = {"follow_dest_links", "log", "overwrite", "save", "scheduler"}
ADMINISTRATOR = 0
VERBOSITIES = range(3)
# All options spelled out are a tenth of that.
MOST_BYTES = 1 << 16


class Given(NamedTuple):
    """All that the main job is told.

    Attributes
    ----------
    arguments : those of the preset, then those of the file, then those of the command line: the later ones win
    warnings, notes, details : lines on where they come from; `details` have each of them
    """

    arguments: list[str]
    warnings: list[str]
    notes: list[str]
    details: list[str]

    def tell(self, console: Console) -> None:
        """Write the lines, as far as they are wanted."""
        for tell, lines in (
            (console.warn, self.warnings), (console.note, self.notes), (console.decision, self.details),
        ):  # fmt: skip
            for line in lines:
                tell(line)


def with_config(arguments: Sequence[str]) -> Given:
    """Return command line arguments along with those of --preset and of the configuration file; raises UsageError."""
    given = underscored(arguments)
    first, _ = _lenient().parse_known_args(given)
    file, warnings = (first.config, []) if first.config else _beside(first.dest)
    options = _read(file, named=bool(first.config)) if file else {}
    preset = first.preset or options.pop("preset", None)
    words = {name: value for name, value in PRESETS.get(preset, {}).items() if name not in options}
    sources = {f"--preset {preset}": _words(words, "--preset"), str(file): _words(options, str(file), file)}
    sources = {source: words for source, words in sources.items() if words}
    details = [f"{source}: {shlex.join(words)}" for source, words in sources.items()]
    found = file and not first.config and not first.verbose
    notes = [f"{file} has options, too (--verbose lists them)"] if found else []
    return Given([*(word for words in sources.values() for word in words), *given], warnings, notes, details)


def _lenient() -> argparse.ArgumentParser:
    """Return the main job's parser, but nothing is required."""
    made = parser()
    for action in made._actions:
        action.required = False
    return made


def _beside(dest: Path | None) -> tuple[Path | None, list[str]]:
    """Return the configuration file beside DEST, if there is one that belongs to the user, else why it is not read."""
    file = dest and dest.absolute().parent / CONFIG
    if not file or not file.is_file():
        return None, []
    if sys.platform != "win32" and file.stat().st_uid not in (ADMINISTRATOR, os.geteuid()):
        return None, [f"{file} belongs to another user and is not read; --config names it"]
    return file, []


def _read(file: Path, named: bool) -> dict[str, Any]:
    """Return the options in a file, by their names with underscores; UsageError if it can't be read."""
    try:
        with file.open("rb") as stream:
            text = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--config: {file} can't be read: {error.strerror}") from error
    if len(text) > MOST_BYTES:
        raise UsageError(f"{file} is no configuration: it has more than {MOST_BYTES} bytes")
    try:
        found = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is no TOML: {error}") from error
    options = {name.replace("-", "_"): value for name, value in found.items()}
    known = _actions().keys()
    for name in options:
        if name not in known:
            raise UsageError(f"{file}: there is no option {name}{closest(name, known)}")
        if name in ONLY_IF_NAMED and not named:
            raise UsageError(f"{file}: {name} may stand only in a file that --config names")
    _check_preset(options, file)
    return options


def _check_preset(options: Mapping[str, Any], file: Path) -> None:
    preset = options.get("preset")
    if preset is not None and preset not in list(PRESETS):
        raise UsageError(f"{file}: preset takes {', '.join(PRESETS)}, not {_shown(preset)}")


def _actions() -> dict[str, argparse.Action]:
    """Return what each option is, by its name."""
    names = {action.option_strings[-1].removeprefix("--"): action for action in parser()._actions}
    return {name: action for name, action in names.items() if name not in NOT_IN_FILES}


def _words(options: Mapping[str, Any], source: str, file: Path | None = None) -> list[str]:
    """Return options as they stand on a command line; UsageError, which names the source, if one does not fit."""
    actions = _actions()
    words = [word for name, value in options.items() for word in _flag(actions[name], name, value, source, file)]
    try:
        _lenient().parse_args(words)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from error
    return words


def _flag(action: argparse.Action, name: str, value: Any, source: str, file: Path | None) -> list[str]:
    """Return an option as it stands on a command line: nothing for `false`."""
    flag = f"--{name}"
    if isinstance(value, bool) and action.nargs in (0, "?"):
        return [flag] * value
    if isinstance(action, argparse._CountAction) and isinstance(value, int) and value in VERBOSITIES:
        return [flag] * value
    values = value if isinstance(value, list) and action.nargs == "+" and value else [value]
    if action.nargs == 0 or not all(_fits(action, one) for one in values):
        raise UsageError(f"{source}: {name} takes {_wanted(action)}, not {_shown(value)}")
    words = [str(file.parent / one) if file and action.type is Path else str(one) for one in values]
    return [flag, *words] if action.nargs == "+" else [f"{flag}={words[0]}"]


def _fits(action: argparse.Action, value: Any) -> bool:
    """Tell whether a value of a file is of the type that an option takes."""
    if isinstance(value, bool) or "\0" in str(value):
        return False
    if action.type in (int, float):
        return isinstance(value, int | float) if action.type is float else isinstance(value, int)
    numbers = int | float if action.choices or action.type not in (None, Path) else str
    return isinstance(value, str | numbers)


def _wanted(action: argparse.Action) -> str:
    """Return in words what an option takes."""
    if action.nargs == 0:
        return "true or false"
    if action.choices:
        return "one of " + ", ".join(map(str, action.choices))
    kinds: dict[Any, str] = {None: "a text", int: "a whole number", float: "a number", Path: "a path"}
    return kinds.get(action.type, "a text or a number") + " or a list of them" * (action.nargs == "+")


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)
