"""The records that report.json holds, as types; `report.schema.json` documents them.

What is read is checked against them. The order of the fields is that of the keys.
"""

from __future__ import annotations

import sys
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from twimager.geometry import Rect
from twimager.options import Format, Output
from twimager.propose.proposal import Source
from twimager.runtime.typed_json import MAX_FLOAT, Count, Number, Setting, Text
from twimager.verify.agreement_map import MAX_PIXELS, AgreementMap

# Counts up whenever a reader of the one before would miss or misread something.
SCHEMA_VERSION: Final = 4

Positive = Annotated[float, Meta(gt=0, le=MAX_FLOAT)]
NotNegative = Annotated[float, Meta(ge=0, le=MAX_FLOAT)]
Share = Annotated[float, Meta(ge=0, le=1)]
Correlation = Annotated[float, Meta(ge=-1, le=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Bits = Annotated[int, Meta(ge=0, le=64)]
# x, y, width and height in pixels.
Box = tuple[Count, Count, Count, Count]
Row = Annotated[list[Number], Meta(min_length=3, max_length=3)]
RowsOfThree = Annotated[list[Row], Meta(min_length=3, max_length=3)]
# A whole scale is an integer, so that it is written as it was given.
Scale = Annotated[int, Meta(gt=0, le=sys.maxsize)] | Positive
# What is written of a pair.
Side = Literal["lr", "hr", "mask"]


class AgreementRecord(Struct, forbid_unknown_fields=True):
    """Where an LR and its aligned HR agree: a map of an area of the LR.

    Attributes
    ----------
    frame : (width, height) of the LR
    size : (width, height) of the map
    labels : a byte of `Label` a pixel, row by row, compressed by zlib; base64 in JSON
    """

    area: Box
    frame: tuple[Count, Count]
    size: tuple[Count, Count]
    labels: Annotated[bytes, Meta(max_length=MAX_PIXELS)]

    def __post_init__(self) -> None:
        if not self.map.is_sound:
            raise ValueError("no map")

    @property
    def map(self) -> AgreementMap:
        """The map, of an area of the whole LR."""
        return AgreementMap(Rect(*self.area), self.size, self.labels)


class PairNumbers(Struct, kw_only=True, forbid_unknown_fields=True):
    """The numbers of a pair that was evaluated; None for what was not computed, and for a map of no difference."""

    source: Source
    mirrored: bool
    negative: bool
    hash_distance: Bits
    inliers: Count | None
    coverage: Share | None
    correlation: Correlation | None
    hash_agreement: Percent | None
    residual: NotNegative | None
    color_distance: NotNegative | None
    agreed: Share | None
    different: Share | None
    unjudged: Share | None
    contradicted: Share | None
    agreement: AgreementRecord | None


class TileRecord(Struct, forbid_unknown_fields=True):
    """A tile of a pair: its files, None where that side was not written, and its LR pixels."""

    lr_output: Text | None
    hr_output: Text | None
    window: Box

    @property
    def outputs(self) -> dict[Side, str]:
        """The files that were written, by side: LR first."""
        return _written(self.lr_output, self.hr_output)


class ClipFrameRecord(TileRecord, forbid_unknown_fields=True):
    """A frame of a pair's clip: its files and window as of a tile, and the numbers of its frames in the videos."""

    lr_number: Count
    hr_number: Count


class FrameRecord(Struct, forbid_unknown_fields=True):
    """A frame of a video: its number, from 0, its presentation timestamp, and when it is shown."""

    video: Text
    number: Count
    pts: int
    seconds: float


class SegmentRecord(Struct, forbid_unknown_fields=True):
    """A part of an LR video that an HR video shows without a jump; times in seconds, `rate` in HR seconds a second."""

    lr_from: float
    lr_to: float
    hr_from: float
    hr_to: float
    rate: Positive
    confidence: Share


class TimelineRecord(Struct, forbid_unknown_fields=True):
    """Two videos that belong together: the share of LR frames that the HR has, and which frames were chosen.

    `left_out` says how many were not, by reason; a span, when the first and the last frame are shown, in seconds;
    `weave`, how far the pairs' own transforms are off the one that they have in common, in LR pixels; None for few.
    """

    lr: Text
    hr: Text
    lr_span: tuple[float, float]
    hr_span: tuple[float, float]
    mapped: Share
    chosen: Count
    left_out: dict[str, Count]
    weave: NotNegative | None
    segments: list[SegmentRecord]


class PairRecord(PairNumbers):
    """A pair that was written, or would be; paths are absolute. `accepted` is True or None.

    One that was cut into `tiles`, or written as a `clip`, has no files but theirs. Of frames of videos, `lr_frame` and
    `hr_frame` say which.
    """

    lr: Text
    hr: Text
    lr_output: Text | None
    hr_output: Text | None
    mask_output: Text | None
    tiles: list[TileRecord]
    clip: list[ClipFrameRecord]
    channels: Literal[3, 4]
    split: Literal["train", "val"] | None
    group: Count | None
    matrix: RowsOfThree
    method: Literal["transform", "warp", "flow"]
    flow: NotNegative | None
    native_scale: Positive
    weave: NotNegative | None
    lr_picture: Box
    hr_picture: Box
    window: Box
    rivals: list[Text]
    accepted: bool | None
    lr_frame: FrameRecord | None
    hr_frame: FrameRecord | None

    def __post_init__(self) -> None:
        if self.accepted is False:
            raise ValueError("accepted is true or null")

    @property
    def shown(self) -> PairRecord | TileRecord:
        """What stands for it where it is looked at: itself, or the tile or frame in the middle of the list."""
        return self.parts[len(self.parts) // 2]

    @property
    def outputs(self) -> dict[Side, str]:
        """The files that were written, by side: LR first, the mask last; none of the tiles."""
        return _written(self.lr_output, self.hr_output, self.mask_output)

    @property
    def parts(self) -> list[PairRecord | TileRecord]:
        """All that has files: itself, or its tiles, or the frames of its clip."""
        return [*self.tiles, *self.clip] or [self]

    @property
    def files(self) -> list[str]:
        """All files that were written."""
        return [path for part in self.parts for path in part.outputs.values()]


def _written(lr: str | None, hr: str | None, mask: str | None = None) -> dict[Side, str]:
    """Return the files that there are, by side."""
    paths: dict[Side, str | None] = {"lr": lr, "hr": hr, "mask": mask}
    return {side: path for side, path in paths.items() if path is not None}


class RejectedPairRecord(PairNumbers):
    """A pair that was rejected, and why; `matrix` is None where the HR was not overlaid.

    Of frames of videos, `lr_frame` and `hr_frame` say which.
    """

    lr: Text
    hr: Text
    reason: Text
    detail: Text
    matrix: RowsOfThree | None
    lr_frame: FrameRecord | None
    hr_frame: FrameRecord | None


class RejectedImageRecord(Struct, forbid_unknown_fields=True):
    """An image that is in no pair, and why; of a frame of a video, `frame` says which."""

    side: Annotated[str, Meta(pattern=r"\A(LR|HR)\Z")]
    path: Text
    reason: Text
    detail: Text
    frame: FrameRecord | None


class NoteRecord(Struct, forbid_unknown_fields=True):
    """A remark on an image that is used."""

    path: Text
    note: Text


class Versions(Struct, forbid_unknown_fields=True):
    """The versions of what the run was made with."""

    python: Text
    opencv: Text
    numpy: Text


class Candidates(Struct, forbid_unknown_fields=True):
    """How many HRs may be proposed for an LR, and how many LRs had more within `--distance`."""

    most: Count
    lrs_with_more: Count


class UsedSettings(Struct):
    """The settings of a run that are used of its report."""

    lr: Text
    hr: Text
    dest: Text | None
    output: Output
    format: Format
    scale: Scale
    dry: bool


class ReportDocument(Struct, forbid_unknown_fields=True):
    """A whole report."""

    schema_version: Literal[4]
    twimager: Text
    versions: Versions
    settings: dict[str, Setting]
    candidates: Candidates
    seconds: dict[str, NotNegative]
    pairs: list[PairRecord]
    rejected_pairs: list[RejectedPairRecord]
    rejected_images: list[RejectedImageRecord]
    notes: list[NoteRecord]
    timelines: list[TimelineRecord]

    @property
    def used_settings(self) -> UsedSettings:
        """The settings that are used; others may lack in the report of another version, or be unknown to this one.

        ValueError is raised if one that is used lacks, or has a value that it can't have.
        """
        return msgspec.convert(self.settings, UsedSettings)
