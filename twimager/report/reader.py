"""Write a report to a file, read it again, and find the files that it names."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from twimager.errors import UsageError, require
from twimager.options import Format
from twimager.output.layout import HR, IMAGE_FOLDERS, LR, MASK, is_image_path
from twimager.output.names import folded
from twimager.report.schema import (
    SCHEMA_VERSION,
    FrameRecord,
    PairRecord,
    ReportDocument,
    Side,
    TileRecord,
    UsedSettings,
)
from twimager.runtime.folders import is_link, read_file
from twimager.runtime.typed_json import Count, dumps
from twimager.video.container import clock

# The numbers of a pair that its caption shows, and how.
CAPTIONS = {
    "residual": "residual {:.2f} px", "correlation": "correlation {:.3f}", "coverage": "coverage {:.3f}",
    "hash_agreement": "hashes {:.0f} %", "inliers": "inliers {:d}", "native_scale": "native scale {:.2f}",
    "method": "{}", "mirrored": "mirrored", "negative": "negative", "different": "different {:.3f}",
}  # fmt: skip
FOLDERS: dict[Side, str] = {"lr": LR, "hr": HR, "mask": MASK}


class _Versioned(msgspec.Struct):
    """What a report of any version holds."""

    schema_version: Count


def to_bytes(document: ReportDocument, to_line: Callable[[Any], str] = dumps) -> bytes:
    """Return a report as JSON, a line for each record; `to_line` may know the lines of those that have not changed."""
    parts = []
    for key in document.__struct_fields__:
        value = getattr(document, key)
        if isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(map(to_line, value)) + "\n ]"
        else:
            text = dumps(value)
        parts.append(f" {json.dumps(key)}: {text}")
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def read_report(path: Path) -> ReportDocument:
    """Return a report.

    Raises
    ------
    UsageError
        If the file can't be read, or is no report of this version.
    """
    require(not path.is_dir(), f"{path} is a folder; name the report.json in it, which --report keeps")
    if is_link(path):
        raise UsageError(f"{path} is a link; name the report that it leads to")
    try:
        kept = json.loads(read_file(path))
        version = msgspec.convert(kept, _Versioned).schema_version
        if version != SCHEMA_VERSION:
            raise UsageError(f"{path} is a report of version {version}, not {SCHEMA_VERSION}")
        document = msgspec.convert(kept, ReportDocument)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise damaged(path) from error
    return document


def damaged(path: Path) -> UsageError:
    """Return the error for a report that holds what no report does."""
    return UsageError(f"{path} is no report of Twimager, or is damaged")


def first_folder(settings: UsedSettings) -> Path:
    """Return the folder that a report was in when the outputs were written; DEST may have been moved since."""
    return Path(settings.dest or "")


def moment(lr: FrameRecord | None, hr: FrameRecord | None) -> str:
    """Return when a pair of frames is shown, as `LR 0:01:02.480 = HR 0:01:03.456`; empty for other images."""
    frames = {"LR": lr, "HR": hr}
    return " = ".join(f"{side} {clock(frame.seconds, 3)}" for side, frame in frames.items() if frame)


def caption(pair: PairRecord) -> str:
    """Return the numbers of a pair in a line; what is unknown is left out."""
    numbers = {words: getattr(pair, name) for name, words in CAPTIONS.items()}
    known = [words.format(value) for words, value in numbers.items() if value is not None and value is not False]
    counts = {"rivals": len(pair.rivals), "tiles": len(pair.tiles), "frames": len(pair.clip)}
    counted = [f"{name} {count}" for name, count in counts.items() if count]
    words = [moment(pair.lr_frame, pair.hr_frame), *known, *counted, "accepted" * bool(pair.accepted)]
    return ", ".join(filter(None, words))


class OwnFiles:
    """The files of a DEST that its report may name: images that the run wrote there, and nothing else.

    Attributes
    ----------
    home : DEST, where it is now
    """

    def __init__(self, document: ReportDocument, report: Path) -> None:
        """`report` is where the report is now, without links. Raises UsageError if it names what is none of DEST's."""
        settings = document.used_settings
        self._report = report
        self._then, self._format = Path(settings.dest or ""), settings.format
        self.home = report.parent
        self.check_folders()
        sources = _real({path for pair in document.pairs for path in (pair.lr, pair.hr)})
        sources |= _real({image.path for image in document.rejected_images})
        folders = {folded(os.path.realpath(folder)) for folder in (settings.lr, settings.hr)}
        for path in (path for pair in document.pairs for path in self.of(pair)):
            if folded(str(path)) in sources or folded(str(path.parent)) in folders:
                raise UsageError(f"{report} names {path} as an output, but that is one of its sources")

    def check_folders(self) -> None:
        """Raise UsageError if the images' folders lead out of DEST."""
        for folder in map(self.home.joinpath, IMAGE_FOLDERS):
            if not _is_no_link(folder):
                raise UsageError(f"{folder} is a link; the images of {self._report} must lie in DEST itself")

    def of(self, pair: PairRecord) -> list[Path]:
        """Return where a pair's outputs are, or would be if they are gone; UsageError if they are none of DEST's."""
        return [path for part in pair.parts for path in self.of_part(part, pair.split).values()]

    def of_part(self, part: PairRecord | TileRecord, split: str | None) -> dict[Side, Path]:
        """Return where the outputs of a pair that was not cut, or of a tile, are, by side; raises as `of` does."""
        return {side: self._located(path, side, split or "") for side, path in part.outputs.items()}

    def _located(self, recorded: str, side: Side, split: str) -> Path:
        name = os.path.relpath(recorded, self._then) if Path(recorded).is_relative_to(self._then) else ""
        path, folder = self.home / name, self.home / split / FOLDERS[side]
        suffix = f".{(Format.PNG if side == 'mask' else self._format).value}"
        named_so = Path(recorded) == self._then / name and is_image_path(Path(name).as_posix())
        in_dest = path.parent == folder or (path.is_relative_to(folder) and _is_no_link(path.parent))
        if not (named_so and in_dest and path.name.endswith(suffix)):
            raise UsageError(f"{self._report} names {recorded} as an output, which is none of its DEST")
        if not _is_file_or_nothing(path):
            raise UsageError(f"{path} is no file that Twimager wrote")
        return path


def _real(paths: Iterable[str]) -> set[str]:
    """Return where files are, folded; links are followed in their folders only, which are few."""
    folders: dict[str, str] = {}
    for folder in {os.path.dirname(path) for path in paths}:
        folders[folder] = os.path.realpath(folder)
    return {folded(os.path.join(folders[os.path.dirname(path)], os.path.basename(path))) for path in paths}


def _is_no_link(folder: Path) -> bool:
    """Return whether a folder, and each around it, is none that a link leads to."""
    return os.path.normcase(os.path.realpath(folder)) == os.path.normcase(folder)


def _is_file_or_nothing(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return True
