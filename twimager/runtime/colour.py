"""Colour on terminals, where it helps reading."""

from __future__ import annotations

import os
import sys
from enum import Enum
from typing import TextIO

RESET = "\x1b[0m"


class Colour(Enum):
    """What is wrong, what to look at, and what came of it; the values are the codes that begin them on terminals."""

    RED = "\x1b[31m"
    YELLOW = "\x1b[33m"
    BOLD = "\x1b[1m"


def coloured(text: str, colour: Colour | None, stream: TextIO) -> str:
    """Return text in a colour, if a stream is a terminal that has any, and NO_COLOR does not forbid it."""
    if not colour or not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    # The consoles of Windows before Terminal print the codes.
    return text if sys.platform == "win32" and "WT_SESSION" not in os.environ else f"{colour.value}{text}{RESET}"
