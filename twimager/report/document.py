"""The report as a JSON document; `report.schema.json` says what is in it."""

from __future__ import annotations

import platform
from typing import Any

import cv2
import numpy as np

from twimager import __version__
from twimager.align.matching import Match
from twimager.errors import Rejection
from twimager.geometry import translation
from twimager.options import Method, plain_settings
from twimager.pairs import RejectedPair, VerifiedPair
from twimager.propose.by_hash import nearest_hashes
from twimager.propose.proposal import CANDIDATES
from twimager.report.records import Record, Report

# Counts up whenever a reader of the one before would miss or misread something.
SCHEMA_VERSION = 3


def document(report: Report) -> dict[str, Any]:
    """Return all that is known of a run, as JSON knows it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "twimager": __version__,
        "versions": {"python": platform.python_version(), "opencv": cv2.__version__, "numpy": np.__version__},
        "settings": plain_settings(report.options),
        "candidates": {"most": CANDIDATES, "lrs_with_more": sum(near > CANDIDATES for near in report.near_hashes)},
        "seconds": {stage: round(seconds, 2) for stage, seconds in report.seconds},
        "pairs": [pair_record(record) for record in report.pairs],
        "rejected_pairs": [_rejected_pair(pair) for pair in report.rejected_pairs],
        "rejected_images": [
            {"side": image.side, "path": str(image.path.absolute()), **_reason(image.rejection)}
            for image in report.rejected_images
        ],
        "notes": [{"path": str(note.path.absolute()), "note": note.text} for note in report.notes],
    }


def pair_record(record: Record) -> dict[str, Any]:
    """Return all that is known of a pair, as JSON knows it."""
    pair = record.pair
    lr, hr = pair.proposal.images
    to_frame = translation(lr.picture.x, lr.picture.y)
    return {
        "lr": str(lr.path.absolute()),
        "hr": str(hr.path.absolute()),
        "lr_output": record.lr_output and str(record.lr_output.absolute()),
        "hr_output": record.hr_output and str(record.hr_output.absolute()),
        "matrix": (to_frame @ pair.match.matrix @ translation(-hr.picture.x, -hr.picture.y)).tolist(),
        "method": _method(pair.match).value,
        "flow": pair.match.displacement and _rounded(pair.match.displacement.magnitude),
        "native_scale": _rounded(pair.native_scale),
        "lr_picture": list(lr.picture),
        "hr_picture": list(hr.picture),
        "window": list(pair.window.moved(*lr.picture[:2])),
        "rivals": [str(path.absolute()) for path in pair.rivals],
        "accepted": record.accepted or None,
        **_numbers(pair),
    }


def _method(match: Match) -> Method:
    """Return the simplest method that would give this alignment."""
    if match.displacement is not None:
        return Method.FLOW
    return Method.WARP if match.matrix[2, :2].any() else Method.TRANSFORM


def _rejected_pair(pair: RejectedPair) -> dict[str, Any]:
    return {
        "lr": str(pair.proposal.lr.path.absolute()),
        "hr": str(pair.proposal.hr.path.absolute()),
        **_reason(pair.rejection),
        **_numbers(pair),
    }


def _numbers(pair: VerifiedPair | RejectedPair) -> dict[str, Any]:
    """Return what is known of a pair in numbers; null for what was not reached."""
    proposal, scores = pair.proposal, pair.scores
    return {
        "source": proposal.source.value,
        "mirrored": proposal.mirrored,
        "hash_distance": nearest_hashes(proposal.lr, proposal.hr)[0],
        "inliers": pair.match and pair.match.inliers,
        "coverage": scores and _rounded(scores.coverage),
        "correlation": scores and _rounded(scores.correlation),
        "hash_agreement": scores and _rounded(scores.agreement),
        "residual": scores and _rounded(scores.residual_shift),
        "color_distance": scores and _rounded(scores.color_distance),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _reason(rejection: Rejection) -> dict[str, str]:
    return {"reason": rejection.reason.value, "detail": rejection.detail}
