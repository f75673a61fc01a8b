"""Time maps as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from twimager.runtime.console import counted
from twimager.version import __version__
from twimager.video.container import clock
from twimager.video.matching import Matched, VideoMatch
from twimager.video.timeline import Segment

COLUMNS = (
    "lr", "hr", "lr_from", "lr_to", "hr_from", "hr_to", "rate", "offset", "confidence", "lr_first", "lr_last",
)  # fmt: skip
HEADING = f"  {'LR from':>11} {'to':>11}   {'HR from':>11} {'to':>11} {'offset':>10} {'rate':>8} {'match':>5}"


def to_text(matched: Matched) -> str:
    """Return which videos belong together, and the segments of each two."""
    lines = [line for match in matched.matches for line in _lines(match)]
    return "\n".join([*lines, *(f"{path}: in no pair" for path in matched.alone)] or ["nothing in common"])


def _lines(match: VideoMatch) -> list[str]:
    timeline = match.timeline
    count = counted(len(timeline.segments), "segment")
    summary = f"{match.lr} -> {match.hr}: {100 * timeline.mapped:.1f}% of its frames, {count}"
    return [summary, HEADING, *(_line(segment) for segment in timeline.segments)]


def _line(segment: Segment) -> str:
    lr_from, lr_to, hr_from, hr_to = (f"{clock(seconds, 3):>11}" for seconds in segment[2:6])
    numbers = f"{segment.offset:+10.3f} {segment.rate:8.5f} {segment.confidence:5.2f}"
    return f"  {lr_from} {lr_to}   {hr_from} {hr_to} {numbers}"


def to_json(matched: Matched) -> str:
    """Return all that was found as JSON."""
    document = {
        "twimager": __version__,
        "exit_code": int(matched.exit_code),
        "matches": [_match(match) for match in matched.matches],
        "alone": [str(path.absolute()) for path in matched.alone],
        "unreadable": [str(path.absolute()) for path in matched.unreadable],
    }
    return json.dumps(document, indent=2)


def _match(match: VideoMatch) -> dict[str, Any]:
    timeline = match.timeline
    return {
        "lr": str(match.lr.absolute()),
        "hr": str(match.hr.absolute()),
        "mapped": timeline.mapped,
        "framing": {"x": timeline.framing.x, "y": timeline.framing.y},
        "segments": [{**segment._asdict(), "offset": segment.offset} for segment in timeline.segments],
    }


def to_csv(matched: Matched) -> bytes:
    """Return a row a segment, times in seconds."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for match in matched.matches:
        for segment in match.timeline.segments:
            held = segment._asdict() | {"lr": match.lr, "hr": match.hr, "offset": segment.offset}
            rows.writerow([round(held[name], 6) if isinstance(held[name], float) else held[name] for name in COLUMNS])
    return text.getvalue().encode("utf-8", "surrogateescape")
