"""A report that is kept in a file: written, read again, and where the files are now that it speaks of."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from twimager.errors import UsageError
from twimager.options import Output
from twimager.output.layout import HR, LR, REPORT_FOLDER
from twimager.output.names import folded
from twimager.report.document import SCHEMA_VERSION
from twimager.report.schema import Check, compiled
from twimager.runtime.folders import is_link, read_file

Document = dict[str, Any]
# One pair's record in the report.
Pair = dict[str, Any]
# What a person wants to know of a pair, and in what words.
SAID = {
    "residual": "residual {:.2f} px", "correlation": "correlation {:.3f}", "coverage": "coverage {:.3f}",
    "hash_agreement": "hashes {:.0f} %", "inliers": "inliers {:d}", "native_scale": "native scale {:.2f}",
    "method": "{}", "mirrored": "mirrored",
}  # fmt: skip
SIDES = {"lr_output": LR, "hr_output": HR}
# The settings that are used of a report; others may lack in that of an older Twimager, or be unknown in a newer one's.
USED_SETTINGS = ("lr", "hr", "dest", "output", "format", "scale", "dry")
PLAIN = {"type": ["null", "boolean", "number", "string"]}
PLAIN_OR_LIST = {"type": [*PLAIN["type"], "array"], "items": PLAIN}


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
    if is_link(path):
        raise UsageError(f"{path} is a link; name the report that it leads to")
    try:
        document = json.loads(read_file(path))
        version = document["schema_version"]
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise damaged(path) from error
    if type(version) is not int:
        raise damaged(path)
    if version != SCHEMA_VERSION:
        raise UsageError(f"{path} is a report of version {version}, not {SCHEMA_VERSION}")
    if not _is_report()(document):
        raise damaged(path)
    home = home_of(path, document["settings"])
    if is_link(path.parent) and home != path.parent:
        raise UsageError(f"{path.parent} is a link; nothing is written through links in DEST")
    return dict(document)


@cache
def _is_report() -> Check:
    """Return the check for a report, by its schema; reasons may be new ones, too."""
    schema = _schema()
    settings = {**schema["properties"]["settings"], "required": USED_SETTINGS, "additionalProperties": PLAIN_OR_LIST}
    known = {**schema, "properties": {**schema["properties"], "settings": settings}}
    return compiled(known, {**schema["$defs"], "reason": {"type": "string"}})


@cache
def pair_schema() -> Mapping[str, Any]:
    """Return the schema of a pair's record, which refers to `$defs` of its own."""
    schema = _schema()
    return {**schema["$defs"]["pair"], "$defs": schema["$defs"]}


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((files("twimager.report") / "report.schema.json").read_text(encoding="utf-8"))
    return schema


def damaged(path: Path) -> UsageError:
    """Return the error for a report that says what no report does."""
    return UsageError(f"{path} is no report of Twimager, or is damaged")


def first_folder(settings: Mapping[str, Any]) -> Path:
    """Return the folder that a report lay in when the outputs were written; DEST may have been moved since."""
    return Path(settings["dest"] or "") / ("" if settings["output"] == Output.ALL.value else REPORT_FOLDER)


def home_of(report: Path, settings: Mapping[str, Any]) -> Path:
    """Return DEST, in which a report lies, or in its folder for reports where images of one side lie open in DEST."""
    apart = settings["output"] != Output.ALL.value and report.parent.name == REPORT_FOLDER
    return report.parent.parent if apart else report.parent


def caption(pair: Pair) -> str:
    """Return the numbers of a pair in a line; what is unknown is left out."""
    known = [words.format(pair[key]) for key, words in SAID.items() if pair[key] is not None and pair[key] is not False]
    rivals = [f"rivals {len(pair['rivals'])}"] * bool(pair["rivals"])
    return ", ".join([*known, *rivals, *["accepted"] * bool(pair["accepted"])])


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
        folders = {folded(os.path.realpath(settings[flag])) for flag in ("lr", "hr")}
        for path in (path for pair in document["pairs"] for path in self.of(pair)):
            if folded(str(path)) in sources or folded(str(path.parent)) in folders:
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
    """Return where files are, folded; links are followed in their folders only, which are few."""
    folders: dict[str, str] = {}
    for folder in {os.path.dirname(path) for path in paths}:
        folders[folder] = os.path.realpath(folder)
    return {folded(os.path.join(folders[os.path.dirname(path)], os.path.basename(path))) for path in paths}


def _is_file_or_nothing(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return True
