"""The report of a run as the records that report.json holds."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from twimager.align.matching import Match
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.geometry import translation
from twimager.options import Alpha, WriteSettings, plain_settings
from twimager.output.clips import WrittenFrame
from twimager.output.tiles import Tile
from twimager.output.transparency import treatment
from twimager.pairs import RejectedPair, VerifiedPair
from twimager.propose.by_hash import nearest_hashes
from twimager.propose.proposal import CANDIDATES
from twimager.report.records import FilmResult, Moment, Record, Report
from twimager.report.schema import (
    SCHEMA_VERSION,
    AgreementRecord,
    Candidates,
    ClipFrameRecord,
    FrameRecord,
    NoteRecord,
    PairRecord,
    RejectedImageRecord,
    RejectedPairRecord,
    ReportDocument,
    SegmentRecord,
    TileRecord,
    TimelineRecord,
    Versions,
)
from twimager.verify.agreement_map import AgreementMap
from twimager.version import __version__

# Numbers of a pair are rounded to so many digits after the point.
DIGITS = 4
# Times, in seconds.
SECONDS_DIGITS = 6
NO_MOMENTS: Mapping[Path, Moment] = {}


def document(report: Report) -> ReportDocument:
    """Return all that is known of a run."""
    return ReportDocument(
        schema_version=SCHEMA_VERSION,
        twimager=__version__,
        versions=Versions(python=platform.python_version(), opencv=cv2.__version__, numpy=np.__version__),
        settings=plain_settings(report.options),
        candidates=Candidates(most=CANDIDATES, lrs_with_more=sum(near > CANDIDATES for near in report.near_hashes)),
        seconds={stage: round(seconds, 2) for stage, seconds in report.seconds},
        pairs=[pair_record(record, report.options.write, report.moments) for record in report.pairs],
        rejected_pairs=[_rejected_pair(pair, report.moments) for pair in report.rejected_pairs],
        rejected_images=[
            RejectedImageRecord(
                side=image.side,
                path=str(image.path.absolute()),
                reason=image.rejection.reason.value,
                detail=image.rejection.detail,
                frame=_frame(report.moments.get(image.path)),
            )
            for image in report.rejected_images
        ],
        notes=[NoteRecord(path=str(note.path.absolute()), note=note.text) for note in report.notes],
        timelines=[_timeline(film) for film in report.films],
    )


def _frame(moment: Moment | None) -> FrameRecord | None:
    if moment is None:
        return None
    return FrameRecord(
        video=str(moment.video.absolute()), number=moment.number, pts=moment.pts, seconds=_seconds(moment.seconds)
    )


def _timeline(film: FilmResult) -> TimelineRecord:
    match, chosen = film.match, film.chosen
    segments = [
        SegmentRecord(
            lr_from=_seconds(one.lr_from),
            lr_to=_seconds(one.lr_to),
            hr_from=_seconds(one.hr_from),
            hr_to=_seconds(one.hr_to),
            rate=one.rate,
            confidence=min(1.0, round(one.confidence, DIGITS)),
        )
        for one in match.timeline.segments
    ]
    return TimelineRecord(
        lr=str(match.lr.absolute()),
        hr=str(match.hr.absolute()),
        lr_span=_span(match.lr_span),
        hr_span=_span(match.hr_span),
        mapped=round(match.timeline.mapped, DIGITS),
        chosen=len(chosen.frames),
        left_out=chosen.left_out,
        weave=_rounded(film.weave),
        segments=segments,
    )


def _span(span: tuple[float, float]) -> tuple[float, float]:
    return _seconds(span[0]), _seconds(span[1])


def _seconds(seconds: float) -> float:
    return round(seconds, SECONDS_DIGITS)


def pair_record(record: Record, write: WriteSettings, moments: Mapping[Path, Moment] = NO_MOMENTS) -> PairRecord:
    """Return all that is known of a pair, whose files are written so; `moments` are of frames of videos."""
    pair = record.pair
    lr, hr = pair.proposal.images
    displacement = pair.match.displacement
    return PairRecord(
        lr=str(lr.path.absolute()),
        hr=str(hr.path.absolute()),
        lr_output=_absolute(record.outputs.lr),
        hr_output=_absolute(record.outputs.hr),
        mask_output=_absolute(record.outputs.mask),
        tiles=[_tile(tile, lr) for tile in record.tiles],
        clip=[_clip_frame(frame, pair) for frame in record.clip],
        channels=4 if treatment(pair, write) is Alpha.KEEP else 3,
        split=pair.part and pair.part.split,
        group=pair.part and pair.part.group,
        matrix=_between_frames(pair.match, lr, hr),
        method=_method(pair.match),
        flow=_rounded(displacement.magnitude) if displacement else None,
        native_scale=round(pair.native_scale, DIGITS),
        weave=_rounded(pair.weave),
        lr_picture=lr.picture,
        hr_picture=hr.picture,
        window=pair.window.moved(*lr.picture[:2]),
        rivals=[str(path.absolute()) for path in pair.rivals],
        accepted=record.accepted or None,
        lr_frame=_frame(moments.get(lr.path)),
        hr_frame=_frame(moments.get(hr.path)),
        **_numbers(pair),
    )


def _tile(tile: Tile, lr: Fingerprint) -> TileRecord:
    window = tile.window.moved(*lr.picture[:2])
    return TileRecord(lr_output=_absolute(tile.outputs.lr), hr_output=_absolute(tile.outputs.hr), window=window)


def _clip_frame(written: WrittenFrame, pair: VerifiedPair) -> ClipFrameRecord:
    outputs, frame = written.outputs, written.frame
    window = pair.window.moved(*pair.proposal.lr.picture[:2])
    return ClipFrameRecord(
        _absolute(outputs.lr), _absolute(outputs.hr), window, lr_number=frame.lr_number, hr_number=frame.hr_number
    )


def _between_frames(match: Match, lr: Fingerprint, hr: Fingerprint) -> list[list[float]]:
    """Return the matrix (3, 3) of a match between whole frames, black bars and all."""
    to_frame, from_frame = translation(lr.picture.x, lr.picture.y), translation(-hr.picture.x, -hr.picture.y)
    rows: list[list[float]] = (to_frame @ match.matrix @ from_frame).tolist()
    return rows


def _absolute(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None


def _method(match: Match) -> Literal["transform", "warp", "flow"]:
    """Return the simplest method that would give this alignment."""
    if match.displacement is not None:
        return "flow"
    return "warp" if match.matrix[2, :2].any() else "transform"


def _rejected_pair(pair: RejectedPair, moments: Mapping[Path, Moment]) -> RejectedPairRecord:
    lr, hr = (image.path for image in pair.proposal.images)
    return RejectedPairRecord(
        lr=str(lr.absolute()),
        hr=str(hr.absolute()),
        reason=pair.rejection.reason.value,
        detail=pair.rejection.detail,
        matrix=_between_frames(pair.match, *pair.proposal.images) if pair.match and pair.scores else None,
        lr_frame=_frame(moments.get(lr)),
        hr_frame=_frame(moments.get(hr)),
        **_numbers(pair),
    )


def _numbers(pair: VerifiedPair | RejectedPair) -> dict[str, Any]:
    """Return the fields of `PairNumbers`."""
    proposal, scores = pair.proposal, pair.scores
    return {
        "source": proposal.source,
        "mirrored": proposal.mirrored,
        "negative": proposal.negative,
        "hash_distance": nearest_hashes(proposal.lr, proposal.hr)[0],
        "inliers": pair.match and pair.match.inliers,
        "coverage": scores and _rounded(scores.coverage),
        "correlation": scores and _rounded(scores.correlation),
        "hash_agreement": scores and _rounded(scores.hash_agreement),
        "residual": scores and _rounded(scores.residual_shift),
        "color_distance": scores and _rounded(scores.color_distance),
        "agreed": scores and _rounded(scores.agreed),
        "different": scores and _rounded(scores.different),
        "unjudged": scores and _rounded(scores.unjudged),
        "contradicted": scores and _rounded(scores.contradicted),
        "agreement": pair.agreement and _agreement(pair.agreement, proposal.lr),
    }


def _agreement(found: AgreementMap, lr: Fingerprint) -> AgreementRecord:
    return AgreementRecord(found.area.moved(*lr.picture[:2]), lr.frame[2:], found.size, found.packed)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
