"""Named sets of options of the main job, as its configuration file has them."""

from __future__ import annotations

import shlex
from typing import Any

# The configuration file that is read beside DEST.
CONFIG = "twimager.toml"
PRESETS: dict[str, dict[str, Any]] = {
    "film": {"no_mirror": True, "no_negative": True},
    "scans": {"method": "auto"},
    "scrape": {"recursive": True},
}


def spelled_out() -> str:
    """Return what each preset stands for, for the help."""
    return "; ".join(f"{name}: {shlex.join(_flags(options))}" for name, options in PRESETS.items())


def _flags(options: dict[str, Any]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", str(value))[: 1 + (value is not True)]]
