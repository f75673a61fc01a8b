"""The summary of a run: a few lines for a person, or JSON for a program."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from twimager.errors import ExitCode, Reason
from twimager.options import MAX_SCALE
from twimager.output.layout import PAGE, REPORT, TRAIN, VAL, document_paths
from twimager.output.render import SAME_SIZE
from twimager.report.records import NOT_READ, Report, closest
from twimager.report.schema import ReportDocument
from twimager.runtime.console import counted, printable
from twimager.runtime.program import program, quoted
from twimager.runtime.typed_json import Count, Text, dumps
from twimager.version import __version__

# No HR has more source pixels per output pixel, along a side.
MAX_NATIVE_SCALE = 1e6
# Why images are in no pair that were compared with others.
UNLIKE = (Reason.NO_PARTNER, Reason.NO_SUCH_FRAME)

Counts = dict[str, Count]


class Summary(Struct, frozen=True):
    """The outcome of a run; the names are the keys of `--json`, and stay.

    Attributes
    ----------
    twimager : the version
    exit_code : what the process ends with
    pairs, written : how many pairs there are, and whether their files are (not with `--dry`)
    lr_left, hr_left : how many images are in no pair, by reason, the most frequent first
    closest : of LRs whose similar HRs were all rejected, by reason, why the one that came closest was
    unreadable, unwritten : files that could not be read, pairs that could not be written
    tiles, without_tile : how many tiles the pairs were cut into, and how many more pairs have none to write
    clips, without_clip : how many pairs were written as clips, and how many more have a frame in theirs that differs
    scale, enlarged, median_native_scale : `--scale`, how many HRs have fewer pixels than that, and how many source
        pixels per output pixel, along a side, the median HR has (None without pairs)
    negatives, inverted : how many HRs are the negatives of their LRs, and whether they were inverted to be written, as
        `--color_transfer` does
    split : with `--split`, how many pairs there are to train on and to validate with, and how many groups of pairs that
        share content
    dest, documents : where the images are, and what is kept beside them, by name
    """

    twimager: Text
    exit_code: ExitCode
    pairs: Count
    written: bool
    lr_left: Counts
    hr_left: Counts
    closest: Counts
    unreadable: Count
    unwritten: Count
    tiles: Count
    without_tile: Count
    clips: Count
    without_clip: Count
    scale: Annotated[float, Meta(gt=0, le=MAX_SCALE)]
    enlarged: Count
    median_native_scale: Annotated[float, Meta(gt=0, le=MAX_NATIVE_SCALE)] | None
    negatives: Count
    inverted: bool
    split: Counts
    dest: Text | None
    documents: dict[str, Text]

    def to_json(self) -> str:
        """Return the summary as a JSON object."""
        return dumps(self, indent=1)

    def to_text(self) -> str:
        """Return a few lines for a person: what was found, what was not, where to look next."""
        parts = f", in {counted(self.tiles, 'tile')}" * bool(self.tiles) + ", as clips" * bool(self.clips)
        lines = [f"pairs {'written' if self.written else 'found'}: {self.pairs}{parts}"]
        for side, left in (("LR", self.lr_left), ("HR", self.hr_left)):
            lines.append(f"{side} left without a pair: {sum(left.values())}" + (f" ({_reasons(left)})" if left else ""))
            if side == "LR" and self.closest:
                lines.append(f"  the HRs that came closest: {_reasons(self.closest)}")
        lines += [f"files that could not be read: {self.unreadable}"] * bool(self.unreadable)
        lines += [f"pairs that could not be written: {self.unwritten}"] * bool(self.unwritten)
        lines += [f"pairs without a usable tile: {self.without_tile}"] * bool(self.without_tile)
        lines += [f"pairs with a frame in their clip that differs: {self.without_clip}"] * bool(self.without_clip)
        lines += self._enlargement()
        if self.negatives:
            how = "inverted, in the LR's colours" if self.inverted else "as they are; --color_transfer inverts them"
            lines.append(f"HRs that are negatives of their LRs: {self.negatives} ({how})")
        if self.split:
            groups = counted(self.split["groups"], "group")
            lines.append("split: {train} to train on, {val} to validate with, of {}".format(groups, **self.split))
        if self.pairs and self.written:
            lines.append(f"images: {self.dest}")
        if REPORT in self.documents:
            lines.append(f"report: {self.documents[REPORT]}")
        if PAGE in self.documents:
            lines.append(f"to look at: {self.documents[PAGE]}")
        if REPORT in self.documents and self.pairs and self.written:
            lines.append(f"to sort out: {program()} review {quoted(self.documents[REPORT])}")
        return "\n".join(map(printable, lines))

    def _enlargement(self) -> list[str]:
        """Say how many HRs have fewer pixels than the scale needs: a network learns their blur. Warn if most have."""
        if not self.median_native_scale or not self.enlarged:
            return []
        if 2 * self.enlarged <= self.pairs:
            few = f"HRs that are enlarged or soft for --scale {self.scale:g}: {self.enlarged}"
            return [f"{few} (--min_native_scale 1 rejects them)"]
        are = "is" if self.pairs == 1 else "are"
        fitting = math.floor(self.scale * self.median_native_scale * 100) / 100
        return [
            f"warning: {self.enlarged} of {counted(self.pairs, 'HR has', 'HRs have')} fewer pixels that hold detail "
            f"than --scale {self.scale:g} asks for and {are} enlarged, by {1 / self.median_native_scale:.2f} in the "
            "median",
            f"  (--scale {fitting:g} would suit half of them; --min_native_scale 1 rejects what is enlarged)",
        ]


def summarize(report: Report) -> Summary:
    """Return the summary of a run."""
    options = report.options
    # In one pass, as records are read anew in each.
    figures = [
        (
            len(record.tiles),
            bool(record.clip),
            record.pair.native_scale,
            record.pair.proposal.negative,
            record.pair.part,
        )
        for record in report.pairs
    ]
    tiles, clips, native_scales, negatives, parts = zip(*figures, strict=True) if figures else ((),) * 5
    split = list(filter(None, parts))
    return Summary(
        twimager=__version__,
        exit_code=report.exit_code,
        pairs=len(report.pairs),
        written=not options.run.dry,
        lr_left=_left(report, "LR"),
        hr_left=_left(report, "HR"),
        closest=_closest(report),
        unreadable=report.unreadable,
        unwritten=report.unwritten,
        tiles=sum(tiles),
        without_tile=report.reasons[Reason.NO_TILE],
        clips=sum(clips),
        without_clip=report.reasons[Reason.CLIP],
        scale=float(options.pair.framing.scale),
        **_native(native_scales),
        negatives=sum(negatives),
        inverted=options.write.color_transfer is not None,
        split=_split([part.split for part in split], {part.group for part in split}),
        dest=str(options.run.dest) if options.run.dest else None,
        documents={name: str(path) for name, path in document_paths(options).items()},
    )


def after_review(summary: Summary, document: ReportDocument) -> Summary:
    """Return the summary of a run from whose report, since then, a review has deleted pairs."""
    pairs = document.pairs
    not_read = {reason.value for reason in NOT_READ}
    left = [image for image in document.rejected_images if image.reason not in not_read]
    return msgspec.structs.replace(
        summary,
        exit_code=summary.exit_code if pairs else ExitCode.NO_PAIR,
        pairs=len(pairs),
        lr_left=_counted(image.reason for image in left if image.side == "LR"),
        hr_left=_counted(image.reason for image in left if image.side == "HR"),
        tiles=sum(len(pair.tiles) for pair in pairs),
        **_native([pair.native_scale for pair in pairs]),
        negatives=sum(pair.negative for pair in pairs),
        split=_split([pair.split for pair in pairs if pair.split], {pair.group for pair in pairs}),
    )


class Outcome(Struct, frozen=True):
    """How a run ended: the exit code of its process, and its summary."""

    exit_code: ExitCode
    summary: Summary


def _reasons(counts: Counts) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in counts.items())


def _left(report: Report, side: str) -> Counts:
    """Count why images of a side that could be read are in no pair."""
    reasons = [image.rejection.reason for image in report.rejected_images if image.side == side]
    return _counted(reason.value for reason in reasons if reason not in NOT_READ)


def _native(scales: Sequence[float]) -> dict[str, Any]:
    """Return how many HRs of these native scales are enlarged, and the median, by the names that a summary has."""
    return {
        "enlarged": sum(scale < 1 - SAME_SIZE for scale in scales),
        "median_native_scale": statistics.median(scales) if scales else None,
    }


def _split(sides: Sequence[str], groups: Collection[int | None]) -> Counts:
    """Count the pairs on both sides of a split, and its groups; nothing without `--split`."""
    return {TRAIN: sides.count(TRAIN), VAL: sides.count(VAL), "groups": len(groups)} if sides else {}


def _closest(report: Report) -> Counts:
    """Count why of LRs whose similar HRs were all rejected the one that came closest was."""
    alone = {image.path for image in report.rejected_images if image.rejection.reason in UNLIKE}
    of_these = closest(pair for pair in report.rejected_pairs if pair.proposal.lr.path in alone)
    return _counted(pair.rejection.reason.value for pair in of_these.values())


def _counted(reasons: Iterable[str]) -> Counts:
    return dict(Counter(reasons).most_common())
