"""What the program is called where it is started, for usages and for the commands that it suggests."""

from __future__ import annotations

import sys
from pathlib import Path


def program() -> str:
    """Return what is typed to start this program again, arguments apart."""
    started = Path(sys.argv[0])
    if started.name == "twimager.py":
        return "python twimager.py"
    if started.parts[-2:] == ("twimager", "__main__.py"):
        return "python -m twimager"
    return "twimager"
