"""How command lines are read, the main job's and the subcommands', and the flags that most of them have."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, NoReturn

from twimager.cli.suggestions import closest
from twimager.errors import UsageError, require
from twimager.image import folders
from twimager.options import MAX_PIXELS, processors
from twimager.runtime.memory import LEAST, MB, parse_size
from twimager.runtime.streams import put

# What --save is called where it is given no name.
STORE = "twimager.sqlite"
BESIDE = Path()
# Columns of --help: that of the narrowest usual terminal, and of what is still read with ease.
NARROWEST, WIDEST = 80, 120


class Parser(argparse.ArgumentParser):
    """Reports errors in one line, without the usage; expands no abbreviated option, and has no --help of its own."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings | {"allow_abbrev": False, "add_help": False})

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return the arguments; UsageError, with the option that is closest, if one is not known."""
        values, unknown = self.parse_known_args(args, namespace)
        if unknown:
            options = [name for action in self._actions for name in action.option_strings]
            self.error(f"unknown argument {unknown[0]}{closest(unknown[0], options)}")
        return values

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message} (--help tells more)")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print --help and --version; the library's own ignores what can't be written."""
        put(message)


def raw_lines(prog: str) -> argparse.HelpFormatter:
    """Format help that keeps the lines of its description and epilog, as wide as the terminal within reason."""
    width = min(max(get_terminal_size().columns, NARROWEST), WIDEST) - 1
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=width)


def underscored(arguments: Sequence[str]) -> list[str]:
    """Return `--color_transfer` for `--color-transfer`: both spellings are good for every option."""
    return [re.sub(r"^--[a-z-]+", lambda flag: "--" + flag[0][2:].replace("-", "_"), text) for text in arguments]


def run_group(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the last group of options, with --help."""
    group = parser.add_argument_group("run")
    group.add_argument("-h", "--help", action="help", help="print this help")
    return group


def add_max_pixels(group: argparse._ActionsContainer) -> None:
    """Add --max_pixels."""
    group.add_argument(
        "--max_pixels", type=int, default=MAX_PIXELS, metavar="N",
        help=f"reject images of more pixels (default {MAX_PIXELS})",
    )  # fmt: skip


def add_jobs(group: argparse._ActionsContainer) -> None:
    """Add --jobs."""
    group.add_argument(
        "--jobs", type=int, default=processors(), metavar="N", help="how many workers (default: one a processor)"
    )


def add_memory(group: argparse._ActionsContainer) -> None:
    """Add --memory."""
    group.add_argument(
        "--memory", type=_memory, metavar="SIZE",
        help="the memory to take at most, as 800M or 4G: images wait for one another, and one that takes more alone is "
        "rejected (default: half of what is free)",
    )  # fmt: skip


def size_in_bytes(text: str) -> int:
    """Return a size in bytes, for argparse."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no size; it is given as 800M or 4G") from error


def _memory(text: str) -> int:
    """Return a size in bytes that a run can do with, for argparse."""
    size = size_in_bytes(text)
    if size < LEAST:
        raise argparse.ArgumentTypeError(f"'{text}' is too little; {LEAST // MB}M is the least")
    return size


def add_save(group: argparse._ActionsContainer, what: str, beside: str) -> None:
    """Add --save, which keeps `what`, and where nothing else is said keeps it `beside` a folder."""
    group.add_argument(
        "--save", nargs="?", type=Path, const=BESIDE, metavar="FILE",
        help=f"keep {what} for the next run with --save: in FILE, or in {STORE} beside {beside}",
    )  # fmt: skip


def saved_in(values: argparse.Namespace, folder: Path | None) -> Path | None:
    """Return where --save keeps what it keeps, if it does: beside `folder` if no file is named."""
    named: Path | None = values.save
    if named is not BESIDE:
        return named
    if folder is None:
        raise UsageError("--save keeps its file beside DEST: add --dest, or name a file")
    return folder.absolute().parent / STORE


def require_effort(values: argparse.Namespace) -> None:
    """Raise UsageError unless --max_pixels and --jobs are 1 or more."""
    require(values.max_pixels >= 1, "--max_pixels must be 1 or more")
    require(values.jobs >= 1, "--jobs must be 1 or more workers")


def require_folder(folder: Path, save: Path | None = None) -> None:
    """Raise UsageError unless a folder of images is there, and `save` is not inside it."""
    folders.require_folder(folder)
    if save:
        apart = not save.resolve().is_relative_to(folder.resolve())
        require(apart, f"--save: {save} lies in {folder}; keep it apart from the images")


def require_dest(dest: Path, read: Sequence[Path], overwrite: bool) -> None:
    """Raise UsageError unless DEST is a folder, or none yet, apart from those read, and empty without --overwrite."""
    require(not dest.exists() or dest.is_dir(), f"--dest: {dest} is a file; name a folder")
    for folder in read:
        here, there = folder.resolve(), dest.resolve()
        apart = not here.is_relative_to(there) and not there.is_relative_to(here)
        require(apart, f"--dest: {dest} and {folder} lie in each other; keep them apart")
    if dest.is_dir() and not overwrite and any(dest.iterdir()):
        raise UsageError(f"--dest: {dest} is not empty; name another folder, or add --overwrite (nothing is deleted)")
