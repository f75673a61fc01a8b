"""Named sets of options of the main job, as its configuration file has them.

A preset holds what is better for nearly all pictures of its kind, and costs no pair. What depends on `--scale` or on
how the pictures were graded is in none: `--min_native_scale 1` rejects 25 of 80 photographs at the default scale, and
`--max_color_distance 8` 53 of 80 that were graded.
"""

from __future__ import annotations

import shlex
from typing import Any

# The configuration file that is read beside DEST.
CONFIG = "twimager.toml"
PRESETS: dict[str, dict[str, Any]] = {
    # No frame of a film is mirrored or inverted: of 90 frames, ten without a partner, the same 76 of 80 pairs came
    # of a seventh less processor time. A displacement (auto) made them no better, 0.030 for 0.027 LR pixels off.
    "film": {"no_mirror": True, "no_negative": True},
    # What was not flat on the scanner is bent: of 80 bent pairs 41 are found without a displacement, and all with it,
    # by a residual of 0.12 LR pixels instead of 0.65. On others (turned, graded) it costs a fifth to a third of the
    # time, and no pair.
    "scans": {"method": "auto"},
    # What was downloaded lies in folders of folders, some of it cut short: of eight pairs of which four HRs end after
    # 70 % of their bytes, four are found without these, and eight with the rows they have. Negatives are none of it:
    # of 80 degraded pairs all are found without looking for any.
    "scrape": {"recursive": True, "truncated": "keep", "no_negative": True},
}


def spelled_out() -> str:
    """Return what each preset stands for, for the help."""
    return "; ".join(f"{name}: {shlex.join(_flags(options))}" for name, options in PRESETS.items())


def _flags(options: dict[str, Any]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", str(value))[: 1 + (value is not True)]]
