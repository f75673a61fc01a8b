"""The report as a page: every pair to look at, in one file that loads nothing from any network."""

from __future__ import annotations

import base64
import io
import os
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote

import msgspec
from PIL import Image

from twimager.errors import UnreadableImage
from twimager.image.decode import decoded
from twimager.image.encode import encode
from twimager.image.pixels import limited, to_8_bit
from twimager.options import Format
from twimager.output.atomic import write_files
from twimager.output.layout import PAGE, REPORT, SEGMENTS, TABLE
from twimager.report.command import command_line
from twimager.report.reader import damaged, first_folder, moment, read_report
from twimager.report.records import BITS_IN_USE, closeness
from twimager.report.remedies import gates, remedy
from twimager.report.schema import (
    AgreementRecord,
    FrameRecord,
    PairNumbers,
    PairRecord,
    RejectedImageRecord,
    RejectedPairRecord,
    ReportDocument,
    Side,
    TimelineRecord,
)
from twimager.report.thumbnails import Thumbnails, data_uri, held_thumbnails, no_thumbnails
from twimager.runtime.console import printable
from twimager.verify.agreement import Label
from twimager.verify.scores import Scores
from twimager.web.template import fill

# The numbers of a pair that the page shows.
NUMBERS = (
    "correlation", "residual", "coverage", "hash_agreement", "color_distance", "hash_distance", "inliers", "source",
    "mirrored", "negative", "agreed", "different", "unjudged", "contradicted",
)  # fmt: skip
# How many small copies a page holds of images that do not use all of their bits, some 50 kB each; their shorter side.
EMBEDDED, EMBEDDED_SIDE = 400, 400
TEMPLATE = "page"
SCRIPTS = ("list.js", "hatching.js", "histogram.js", "timeline.js", "viewer.js", "decisions.js", "start.js")


class Links(Protocol):
    """Where a page finds images.

    Attributes
    ----------
    to_frames : whether files of frames of videos can be linked to: they are deleted when a run ends, unless kept
    """

    to_frames: bool

    def output(self, pair: PairRecord, side: Side) -> str:
        """Return the link to a file, which was written, of what a pair shows."""

    def source(self, path: str, side: Side) -> str:
        """Return the link to an image as it was found in the folder of a side, as it can be shown."""

    def original(self, path: str, side: Side) -> str:
        """Return the link to the file itself of an image as it was found."""


def page(document: ReportDocument, folder: Path, thumbnails: Thumbnails = no_thumbnails) -> bytes:
    """Return the page of a report, which is to be in `folder`: HTML that refers to the images where they are."""
    links = _FromDisk(document, folder)
    shown = contents(document, links)
    return fill(TEMPLATE, SCRIPTS, {**shown, "thumbnails": thumbnails(links.images)}).html


def kept_thumbnails(document: ReportDocument, folder: Path, images: Mapping[str, Path]) -> dict[str, str]:
    """Return the thumbnails of rejected frames that the page in `folder` holds, by the links of `images`.

    The frames are gone. Their thumbnails are there under links as seen from where the page was written, maybe before it
    was moved.
    """
    frames = {image.path for image in document.rejected_images if image.frame}
    frames |= {path for pair in document.rejected_pairs if pair.lr_frame for path in (pair.lr, pair.hr)}
    held = held_thumbnails(folder / PAGE) if frames else {}
    seen_from = first_folder(document.used_settings), folder
    links = {link_to(path, place): path for path in frames for place in seen_from}
    kept = {path: held[link] for link, path in links.items() if link in held}
    return {link: kept[str(path)] for link, path in images.items() if str(path) in kept}


def rebuild(report: Path, thumbnails: Thumbnails = no_thumbnails) -> Path:
    """Write the page of a report anew, beside it; return where it is.

    Raises
    ------
    UsageError
        If the file can't be read, or is no report of this version.
    TwimagerError
        If nothing can be written there.
    """
    document = read_report(report)
    try:
        kept = partial(kept_thumbnails, document, report.parent)
        made = page(document, report.parent, lambda images: kept(images) | thumbnails(images))
    except ValueError as error:  # of a name that no file has
        raise damaged(report) from error
    path = report.with_name(PAGE)
    write_files({path: made}, uuid.uuid4().hex, replace=True, dest=report.parent)
    return path


def contents(document: ReportDocument, links: Links) -> dict[str, Any]:
    """Return what the page shows, as JSON for its scripts."""
    settings = document.used_settings
    return {
        "run": _run(document),
        "title": shown_name(settings.dest or ""),
        "dry": settings.dry,
        "gates": gates(document.settings),
        "pairs": [{**_pair(pair, links), "segment": _segment(pair, document.timelines)} for pair in document.pairs],
        "timelines": [_timeline(one) for one in document.timelines],
        "rejected": _rejected(document, links),
        "decisions": {
            "accepted": [number for number, pair in enumerate(document.pairs) if pair.accepted],
            "deleted": [],
        },
        "thumbnails": {},
        "served": False,
    }


def _run(document: ReportDocument) -> dict[str, Any]:
    """Return what the page says of the run: its command, its folders, with what it was made, how long it took."""
    versions, settings = document.versions, document.used_settings
    lrs, hrs = {pair.lr for pair in document.pairs}, {pair.hr for pair in document.pairs}
    left = Counter(image.side for image in document.rejected_images)
    return {
        "command": printable(command_line(document.settings)),
        "versions": f"Twimager {document.twimager}, Python {versions.python}, OpenCV {versions.opencv}, "
        f"NumPy {versions.numpy}",
        "seconds": document.seconds,
        "counts": [len(lrs) + left["LR"], len(hrs) + left["HR"]],
        "files": [REPORT, TABLE, *[SEGMENTS] * bool(document.timelines)],
        "folders": {"lr": printable(settings.lr), "hr": printable(settings.hr), "dest": printable(settings.dest or "")},
        "notes": [f"{shown_name(note.path)}: {printable(note.note)}" for note in document.notes],
    }


def _timeline(timeline: TimelineRecord) -> dict[str, Any]:
    """Return what the page shows of two videos that belong together."""
    return {
        "videos": [shown_name(timeline.lr), shown_name(timeline.hr)],
        "spans": [timeline.lr_span, timeline.hr_span],
        "mapped": timeline.mapped,
        "segments": [msgspec.to_builtins(segment) for segment in timeline.segments],
    }


def _segment(pair: PairRecord, timelines: Sequence[TimelineRecord]) -> tuple[int, int] | None:
    """Return the numbers of the timeline and of its segment that a pair of frames is of; None if it is of none."""
    lr, hr = pair.lr_frame, pair.hr_frame
    if lr is None or hr is None:
        return None
    segments = (
        (number, at)
        for number, timeline in enumerate(timelines)
        if (timeline.lr, timeline.hr) == (lr.video, hr.video)
        for at, segment in enumerate(timeline.segments)
        if segment.lr_from <= lr.seconds <= segment.lr_to
    )
    return next(segments, None)


class _FromDisk:
    """Links for a page in `folder`, from where the images are seen.

    Attributes
    ----------
    images : where the images are that were linked to, by their links
    """

    def __init__(self, document: ReportDocument, folder: Path) -> None:
        self._folder = folder
        self._then = first_folder(document.used_settings)
        self._dim = {note.path for note in document.notes if note.note.endswith(BITS_IN_USE)}
        self._scaled = document.settings.get("depth") or not document.used_settings.format.has_16_bit
        self._left = EMBEDDED
        self.to_frames = bool(document.settings.get("keep_frames")) and not document.used_settings.dry
        self.images: dict[str, Path] = {}

    def output(self, pair: PairRecord, side: Side) -> str:
        path, source = pair.shown.outputs[side], pair.lr if side == "lr" else pair.hr
        link = link_to(path, self._then)
        located = self._folder / unquote(link)
        dim = source in self._dim and not self._scaled
        return (dim and self._embedded(located)) or self._linked(link, located)

    def source(self, path: str, side: Side) -> str:
        return (path in self._dim and self._embedded(Path(path))) or self._linked(self.original(path, side), Path(path))

    def original(self, path: str, side: Side) -> str:
        return link_to(path, self._folder)

    def _linked(self, link: str, path: Path) -> str:
        self.images[link] = path
        return link

    def _embedded(self, path: Path) -> str | None:
        """Return a small copy of an image that a browser would show nearly black; None if it is one too many."""
        self._left -= 1
        if self._left < 0:
            return None
        try:
            with decoded(path, srgb=True) as pixels:
                copy = encode(to_8_bit(limited(pixels, EMBEDDED_SIDE)), Format.JPG)
        except UnreadableImage:
            return None
        return data_uri(copy)


def _pair(pair: PairRecord, links: Links) -> dict[str, Any]:
    """Return what the page shows of a pair; sides that were not written are shown as they were found."""
    shown = pair.shown
    written = shown.outputs
    lr, lr_source = _source(pair.lr, pair.lr_frame, "lr", links)
    hr, hr_source = _source(pair.hr, pair.hr_frame, "hr", links)
    return {
        "name": shown_name(written.get("hr") or written.get("lr") or pair.hr),
        "images": [
            links.output(pair, "lr") if "lr" in written else links.source(pair.lr, "lr"),
            links.output(pair, "hr") if "hr" in written else links.source(pair.hr, "hr"),
        ],
        "aligned": "lr" in written and "hr" in written,
        "matrix": pair.matrix,
        "lr": lr,
        "hr": hr,
        "sources": [lr_source, hr_source],
        "seconds": [frame and frame.seconds for frame in (pair.lr_frame, pair.hr_frame)],
        "moment": moment(pair.lr_frame, pair.hr_frame),
        "outputs": {side: shown_name(path) for side, path in written.items() if side != "mask"},
        "method": pair.method,
        "native": pair.native_scale,
        "flow": pair.flow,
        "window": shown.window,
        "tiles": len(pair.tiles),
        "files": len(pair.files),
        "split": pair.split,
        "group": pair.group,
        "rivals": [shown_name(rival) for rival in pair.rivals],
        **_numbers(pair),
    }


def _source(path: str, frame: FrameRecord | None, side: Side, links: Links) -> tuple[str, str]:
    """Return what an image was found as, a frame in its video, and the link to its file, empty if that is gone."""
    link = "" if frame and not links.to_frames else links.original(path, side)
    return printable(f"{frame.video}, frame {frame.number}" if frame else path), link


def _numbers(pair: PairNumbers) -> dict[str, Any]:
    plain = msgspec.to_builtins(pair)
    return {**{name: plain[name] for name in NUMBERS}, "differs": pair.agreement and _differs(pair.agreement)}


def _differs(agreement: AgreementRecord) -> dict[str, Any]:
    """Return where LR and HR differ: a PNG of a bit a pixel, clear where they agree, and which LR pixels it shows."""
    differs = Image.fromarray((agreement.map.labels == Label.DIFFER).view("u1"), "P")
    differs.putpalette(bytes(6))
    png = io.BytesIO()
    differs.save(png, "PNG", bits=1, transparency=0)
    uri = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
    return {"png": uri, "area": agreement.area, "frame": agreement.frame}


def _rejected(document: ReportDocument, links: Links) -> list[dict[str, Any]]:
    """Return the images that are in no pair, each with the one that came closest."""
    pairs_of: dict[str, list[RejectedPairRecord]] = {}
    for pair in document.rejected_pairs:
        for path in (pair.lr, pair.hr):
            pairs_of.setdefault(path, []).append(pair)
    # LRs first: they get their thumbnails before HRs that nobody needed.
    images = sorted(document.rejected_images, key=lambda image: image.side != "LR")
    return [_image(image, pairs_of.get(image.path, []), links) for image in images]


def _image(image: RejectedImageRecord, pairs: Sequence[RejectedPairRecord], links: Links) -> dict[str, Any]:
    """Return what the page shows of an image that is in no pair; `pairs` are the rejected ones that it is in."""
    side: Side = "lr" if image.side == "LR" else "hr"
    return {
        "side": image.side,
        **_rejected_image(image.path, image.frame, side, links),
        "moment": moment(*((image.frame, None) if side == "lr" else (None, image.frame))),
        "reason": image.reason,
        "detail": printable(image.detail),
        "looked": len(pairs),
        "closest": _closest(max(pairs, key=_closeness), side, links) if pairs else None,
    }


def _rejected_image(path: str, frame: FrameRecord | None, side: Side, links: Links) -> dict[str, Any]:
    """Return what the page shows of an image itself; of one that is `gone` nothing but the thumbnail is left."""
    found, file = _source(path, frame, side, links)
    return {
        "name": shown_name(path),
        "path": found,
        "file": file,
        "image": links.source(path, side),
        "gone": frame is not None and not links.to_frames,
    }


def _closest(pair: RejectedPairRecord, side: Side, links: Links) -> dict[str, Any]:
    """Return what the page shows of the rejected pair that came closest, to an image of one side."""
    other: Side = "hr" if side == "lr" else "lr"
    path, frame = (pair.hr, pair.hr_frame) if side == "lr" else (pair.lr, pair.lr_frame)
    return {
        **_rejected_image(path, frame, other, links),
        "moment": moment(pair.lr_frame, pair.hr_frame),
        "reason": pair.reason,
        "detail": printable(pair.detail),
        "remedy": remedy(pair),
        "matrix": pair.matrix,
        **_numbers(pair),
    }


def _closeness(pair: RejectedPairRecord) -> tuple[float, int]:
    if pair.correlation is None or pair.coverage is None:
        return closeness(None, pair.inliers)
    return closeness(Scores(pair.correlation, pair.coverage, different=pair.different), pair.inliers)


def shown_name(path: str) -> str:
    """Return a file's name, as any screen can show it."""
    return printable(Path(path).name)


def link_to(path: str, folder: Path) -> str:
    """Return where a file is as seen from a page in `folder`."""
    try:
        seen = Path(os.path.relpath(path, folder.absolute())).as_posix()
    except ValueError:  # on another drive
        return Path(path).as_uri()
    return quote(os.fsencode(seen))
