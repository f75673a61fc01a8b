"""What lets a rejected pair pass: the gates of a run, and the option that would move the one that it failed at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from twimager.errors import Reason
from twimager.report.schema import RejectedPairRecord
from twimager.verify.scores import MIN_CORRELATION

# The numbers that have a gate, whether it is the least or the most, and the option that sets it.
GATES = {
    "coverage": ("least", "min_overlap"),
    "hash_agreement": ("least", "threshold"),
    "residual": ("most", "max_error"),
    "contradicted": ("most", "max_difference"),
    "color_distance": ("most", "max_color_distance"),
}
# Reasons that no number decides, and what to change; what is in neither has no remedy.
OTHERWISE = {
    Reason.COMBED: "--keep_combed",
    Reason.LOOK_ALIKE: "--all_matches",
    Reason.TAKEN: "--all_matches",
    Reason.CROP: "a smaller --crop",
    Reason.SMALL: "a smaller --min_size",
    Reason.ENLARGED: "a lower --min_native_scale, or a lower --scale",
    Reason.NO_TILE: "a smaller --tile, or a lower --min_detail",
}
# Reasons that say nothing about the pair itself.
NOT_OF_THE_PAIR = {Reason.SKIPPED, Reason.FAILED, Reason.NOT_WRITTEN}
NUMBERS = {
    Reason.OVERLAP: "coverage",
    Reason.HASH: "hash_agreement",
    Reason.RESIDUAL: "residual",
    Reason.DIFFERENT: "contradicted",
    Reason.COLOR: "color_distance",
}
# Options are named with so many digits after the point, rounded so that the pair passes.
DIGITS = {"coverage": 2, "hash_agreement": 0, "residual": 2, "contradicted": 3, "color_distance": 1}
# Below this, --threshold would pass unrelated pictures.
LEAST_THRESHOLD = 60
FIRST = {Reason.RESIDUAL: "--method auto, or ", Reason.DIFFERENT: "--partial cut or mask, or "}


def gates(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the gates of a run as its page shows them: the number, its bound (None: by the LR's size), the option."""
    found = [{"number": "correlation", "kind": "least", "bound": MIN_CORRELATION, "option": ""}]
    for number, (kind, option) in GATES.items():
        bound = settings.get(option)
        if isinstance(bound, int | float) or option == "max_error":
            found.append({"number": number, "kind": kind, "bound": bound, "option": f"--{option}"})
    return found


def remedy(pair: RejectedPairRecord) -> str | None:
    """Return the options of which one takes a pair through the gate that it failed at, empty if none does.

    None is returned of a pair that failed at none.
    """
    reason = next((reason for reason in Reason if reason.value == pair.reason), None)
    if reason in NOT_OF_THE_PAIR:
        return None
    if reason not in NUMBERS:
        return OTHERWISE.get(reason, "") if reason else ""
    number = NUMBERS[reason]
    value = getattr(pair, number)
    if value is None or (reason is Reason.HASH and value < LEAST_THRESHOLD):
        return ""
    kind, option = GATES[number]
    step = 10 ** DIGITS[number]
    moved = (math.floor if kind == "least" else math.ceil)(value * step) / step
    return f"{FIRST.get(reason, '')}--{option} {moved:g}"
