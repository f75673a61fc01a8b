"""A report that is kept in a file: written, read again, and where the files are now that it speaks of."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from twimager.destination import HR, LR, REPORT_FOLDER
from twimager.errors import UsageError
from twimager.options import Output
from twimager.records import SCHEMA_VERSION

Document = dict[str, Any]
# One pair's record in the report.
Pair = dict[str, Any]
SIDES = {"lr_output": LR, "hr_output": HR}


def to_bytes(document: Mapping[str, Any], to_line: Callable[[Any], str] = json.dumps) -> bytes:
    """Return a report as JSON, a line for each record; `to_line` may know the lines of those that have not changed."""
    parts = []
    for key, value in document.items():
        if isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(map(to_line, value)) + "\n ]"
        else:
            text = json.dumps(value)
        parts.append(f" {json.dumps(key)}: {text}")
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def read_report(path: Path) -> Document:
    """Return what a report says; UsageError if the file can't be read, or is no report of this version."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document["schema_version"]
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise damaged(path) from error
    if version != SCHEMA_VERSION:
        raise UsageError(f"{path} is a report of version {version}, not {SCHEMA_VERSION}")
    if not isinstance(document, dict):
        raise damaged(path)
    return document


def damaged(path: Path) -> UsageError:
    """Return the error for a report that says what no report does."""
    return UsageError(f"{path} is no report of Twimager, or is damaged")


def first_folder(settings: Mapping[str, Any]) -> Path:
    """Return the folder that a report lay in when the outputs were written; DEST may have been moved since."""
    return Path(settings["dest"] or "") / ("" if settings["output"] == Output.ALL.value else REPORT_FOLDER)


class OwnFiles:
    """The files of a DEST that its report may speak of: images that the run wrote there, and nothing else.

    Attributes
    ----------
    home : DEST, where it is now
    """

    def __init__(self, document: Document, report: Path) -> None:
        """`report` is where the report is now, without links. Raises UsageError if it names what is none of DEST's."""
        settings = document["settings"]
        self._report = report
        self._both = settings["output"] == Output.ALL.value
        self._then, self._suffix = Path(settings["dest"]), f".{settings['format']}"
        if not self._both and report.parent.name != REPORT_FOLDER:
            raise UsageError(f"{report} is not in its folder {REPORT_FOLDER} in DEST, where its images are")
        self.home = report.parent if self._both else report.parent.parent
        self._folders = {side: self.home / side if self._both else self.home for side in SIDES.values()}
        self.check_folders()
        sources = _real({pair[key] for pair in document["pairs"] for key in ("lr", "hr")})
        sources |= _real({image["path"] for image in document["rejected_images"]})
        folders = {os.path.realpath(settings[flag]) for flag in ("lr", "hr")}
        for path in (path for pair in document["pairs"] for path in self.of(pair)):
            if str(path) in sources or str(path.parent) in folders:
                raise UsageError(f"{report} names {path} as an output, but that is one of its sources")

    def check_folders(self) -> None:
        """Raise UsageError if the images' folders lead out of DEST."""
        for folder in self._folders.values():
            if os.path.normcase(os.path.realpath(folder)) != os.path.normcase(folder):
                raise UsageError(f"{folder} is a link; the images of {self._report} must lie in DEST itself")

    def of(self, pair: Pair) -> list[Path]:
        """Return where a pair's outputs are, or would be if they are gone; UsageError if they are none of DEST's."""
        return [self._located(pair[key], self._folders[side]) for key, side in SIDES.items() if pair[key] is not None]

    def _located(self, recorded: str, folder: Path) -> Path:
        path = folder / Path(recorded).name
        named_so = Path(recorded) == self._then / path.relative_to(self.home)
        if not named_so or path.name == ".." or not path.name.endswith(self._suffix):
            raise UsageError(f"{self._report} names {recorded} as an output, which is none of its DEST")
        if not _is_file_or_nothing(path):
            raise UsageError(f"{path} is no file that Twimager wrote")
        return path


def _real(paths: Iterable[str]) -> set[str]:
    """Return where files are; links are followed in their folders only, which are few."""
    folders: dict[str, str] = {}
    for folder in {os.path.dirname(path) for path in paths}:
        folders[folder] = os.path.realpath(folder)
    return {os.path.join(folders[os.path.dirname(path)], os.path.basename(path)) for path in paths}


def _is_file_or_nothing(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return True
