"""Where the project and the photographs are."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SHARED = Path(os.environ.get("TWIMAGER_SHARED", ROOT.parent / "shared"))
BENCH = SHARED / "bench"
