"""How command lines are read, the main job's and the subcommands'."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from twimager.errors import UsageError


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage; takes no option for another that begins alike."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message} (--help tells more)")


def raw_lines(prog: str) -> argparse.HelpFormatter:
    """Format help of 79 columns that keeps the lines of its description and epilog."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=79)


def underscored(arguments: Sequence[str]) -> list[str]:
    """Return `--color_transfer` for `--color-transfer`: both spellings are good for every option."""
    return [re.sub(r"^--[a-z-]+", lambda flag: "--" + flag[0][2:].replace("-", "_"), text) for text in arguments]
