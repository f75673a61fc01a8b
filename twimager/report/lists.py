"""Lists of the pairs that loaders read: BasicSR's and Real-ESRGAN's meta_info, the metadata of Hugging Face."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from twimager.geometry import Rect, Size
from twimager.output.layout import (
    CLIPS_INFO,
    DATABASES,
    HR,
    LR,
    META_INFO,
    META_INFO_PAIR,
    METADATA,
    SEPTUPLETS,
    TRAIN,
    VAL,
)
from twimager.output.render import output_size
from twimager.report.schema import Box, PairRecord, Side
from twimager.runtime.console import counted

# The words that Hugging Face datasets takes for the name of a split where they stand between these characters in the
# name of a file (data_files.py of 5.2, KEYWORDS_IN_FILENAME_BASE_PATTERNS); it passes over the others, the list too.
SPLIT_WORD = re.compile(
    r"(?:^|[-._ 0-9])(?:train|training|validation|valid|dev|val|test|testing|eval|evaluation)[-._ 0-9]"
)
SPACE, SPACED = re.compile(r"\s"), "hold spaces"
AS_A_WHOLE = 'load them with data_files={"train": "**"}'


class Files(NamedTuple):
    """The files of a pair, or of one of its tiles; or of a clip those of its first frame.

    Attributes
    ----------
    outputs : their paths, by side
    window : the LR pixels that they show
    channels : how many they have
    frames : how many frames the clip has, else none
    """

    outputs: Mapping[Side, str]
    window: Box
    channels: int
    frames: int = 0


class Kind(NamedTuple):
    """A list for a loader.

    Attributes
    ----------
    line : returns the line of a pair, at this scale
    sides : whose names it holds; none of a list of clips
    unlistable : what a loader fails at in a name
    why : the same in words
    """

    line: Callable[[Files, Fraction], str]
    sides: tuple[Side, ...]
    unlistable: re.Pattern[str]
    why: str


def _hr_with_size(files: Files, scale: Fraction) -> str:
    width, height = _hr_size(files, scale)
    return f"{_name(files, 'hr')} ({height},{width},{files.channels})"


def _clip_with_size(files: Files, scale: Fraction) -> str:
    width, height = _hr_size(files, scale)
    return f"{_clip(files)} {files.frames} ({height},{width},{files.channels})"


def _clip(files: Files) -> str:
    """Return the folder of a clip, as seen from that of its side."""
    parts = Path(next(iter(files.outputs.values()))).parts
    side = max(place for place, part in enumerate(parts) if part in (LR, HR))
    return "/".join(parts[side + 1 : -1])


def _in_database(files: Files, side: Side, size: Size) -> str:
    """Return the line of an image in a database's list; the 1 is what BasicSR compresses with, and not used."""
    return f"{_name(files, side)} ({size[1]},{size[0]},{files.channels}) 1"


def _hr_size(files: Files, scale: Fraction) -> Size:
    return output_size(Rect(*files.window), scale)


def _both_paths(files: Files, _: Fraction) -> str:
    return f"{_below(files, 'hr')}, {_below(files, 'lr')}"


def _as_json(files: Files, _: Fraction) -> str:
    return json.dumps({f"{side}_file_name": _below(files, side) for side in files.outputs})


# Where loaders split a list: BasicSR and Real-ESRGAN at the first space of a line (data/data_util.py of BasicSR
# 8d56e3a), Real-ESRGAN's paired data set at ", " (data/realesrgan_paired_dataset.py of a4abfb2), each into lines. JSON
# that is no UTF-8 is read by none.
KINDS = {
    META_INFO: Kind(_hr_with_size, ("hr",), SPACE, SPACED),
    CLIPS_INFO: Kind(_clip_with_size, (), SPACE, SPACED),
    SEPTUPLETS: Kind(lambda files, _: _clip(files), (), SPACE, SPACED),
    META_INFO_PAIR: Kind(_both_paths, ("hr", "lr"), re.compile(r", |[\r\n]"), 'hold ", " or a line break'),
    METADATA: Kind(_as_json, ("hr", "lr"), re.compile(r"[\ud800-\udfff]"), "are not UTF-8"),
    f"{DATABASES[LR]}/{META_INFO}": Kind(
        lambda files, _: _in_database(files, "lr", files.window[2:]), ("lr",), SPACE, SPACED
    ),
    f"{DATABASES[HR]}/{META_INFO}": Kind(
        lambda files, scale: _in_database(files, "hr", _hr_size(files, scale)), ("hr",), SPACE, SPACED
    ),
}


def listed(name: str, pairs: Iterable[PairRecord], scale: Fraction) -> bytes:
    """Return the list of this name, in DEST: a line a pair, without those whose names its loader would misread."""
    kind, written = _of(name, pairs)
    lines = [kind.line(files, scale) for files in written if not _is_misread(files, kind)]
    return "".join(f"{line}\n" for line in sorted(lines)).encode("utf-8", "surrogateescape")


def shortcoming(name: str, pairs: Iterable[PairRecord]) -> str:
    """Return in a line what a list lacks, or how it is to be loaded; empty if there is nothing to say."""
    kind, written = _of(name, pairs)
    if left_out := sum(_is_misread(files, kind) for files in written):
        not_listed = "is not listed, as its names" if left_out == 1 else "are not listed, as their names"
        return f"{name}: {left_out} of {counted(len(written), 'pair')} {not_listed} {kind.why}"
    if name == METADATA and (words := sum(bool(SPLIT_WORD.search(_name(files, "hr"))) for files in written)):
        return f"{name}: Hugging Face takes words in {words} names for splits; {AS_A_WHOLE}"
    return ""


def _of(name: str, pairs: Iterable[PairRecord]) -> tuple[Kind, list[Files]]:
    """Return what kind of list a name is of, and what of the pairs was written to its folder."""
    folder, _, rest = name.partition("/")
    split = folder if folder in (TRAIN, VAL) else None
    kind = KINDS[rest if split else name]
    of_split = [pair for pair in pairs if pair.split == split]
    if kind.sides:
        written = [Files(part.outputs, part.window, pair.channels) for pair in of_split for part in pair.parts]
    else:
        clips = [(pair.clip[0], pair) for pair in of_split if pair.clip]
        written = [Files(first.outputs, first.window, pair.channels, len(pair.clip)) for first, pair in clips]
    return kind, [files for files in written if files.outputs.keys() >= set(kind.sides)]


def _is_misread(files: Files, kind: Kind) -> bool:
    return any(kind.unlistable.search(_name(files, side)) for side in kind.sides)


def _name(files: Files, side: Side) -> str:
    return Path(files.outputs[side]).name


def _below(files: Files, side: Side) -> str:
    """Return an output's path as seen from the folder that holds both sides."""
    return "/".join(Path(files.outputs[side]).parts[-2:])
