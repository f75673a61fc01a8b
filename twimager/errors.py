"""What can go wrong: errors that end a run, and the reasons for which an image or a pair is rejected."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class ExitCode(IntEnum):
    """The process's exit code."""

    DONE = 0
    FATAL = 1
    USAGE = 2
    INCOMPLETE = 3
    NO_PAIR = 4
    NOT_FIT = 5
    INTERRUPTED = 130


class TwimagerError(Exception):
    """What is wrong, and what to do about it, in one line; it ends the run unless it concerns one image or pair."""

    exit_code = ExitCode.FATAL


class UsageError(TwimagerError):
    """The options, or the folders they name, do not fit."""

    exit_code = ExitCode.USAGE


def require(condition: object, message: str) -> None:
    """Raise UsageError unless a condition holds."""
    if not condition:
        raise UsageError(message)


class Interrupted(TwimagerError):
    """The run was interrupted by the user or the system."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, resumable: bool = False) -> None:
        super().__init__("interrupted" + "; the same command with --resume goes on" * resumable)


class Reason(Enum):
    """Why an image or a pair is rejected; the value is its name in reports."""

    UNREADABLE = "unreadable"
    UNSUPPORTED = "unsupported format"
    NOT_REGULAR = "not a regular file"
    FLAT = "nothing to see"
    NOTHING_SIMILAR = "nothing similar"
    NO_PARTNER = "similar but rejected"
    NO_SUCH_FRAME = "no HR shows this frame"
    FEW_MATCHES = "too few matching features"
    IMPLAUSIBLE = "implausible transform"
    OVERLAP = "too little overlap"
    CROP = "crop does not fit"
    SMALL = "too small"
    LOOK_ALIKE = "another HR fits the LR better"
    HASH = "hashes of the aligned pair differ"
    CORRELATION = "pixels of the aligned pair differ"
    ENLARGED = "HR has too few pixels for the scale"
    RESIDUAL = "aligned pair is shifted or bent"
    DIFFERENT = "part of the LR shows something else"
    COLOR = "colours of the aligned pair differ"
    COMBED = "LR is combed"
    BLENDED = "LR is blended"
    TAKEN = "in a better pair"
    SKIPPED = "skipped by hand"
    NO_TILE = "no usable tile"
    CLIP = "a frame of its clip differs"
    NOT_REACHED = "not reached"
    FAILED = "could not be compared"
    NOT_WRITTEN = "could not be written"


# An LR that is in no pair for these would be in none with any other HR.
OF_TWO_MOMENTS = (Reason.COMBED, Reason.BLENDED)
# The detail of pairs that were written, and skipped later.
DELETED = "deleted in a review"


@dataclass(frozen=True)
class Rejection:
    """Why something was rejected, and the numbers that decided it."""

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value


class AlignmentError(TwimagerError):
    """Two images that do not show the same picture, or too little of it; `rejection` says why."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection)
        self.rejection = rejection


class UnreadableImage(TwimagerError):
    """A file that is no image, or not a whole one."""

    reason = Reason.UNREADABLE


class UnsupportedFormat(UnreadableImage):
    """A file of no format that can be read."""

    reason = Reason.UNSUPPORTED


class NotRegularFile(UnreadableImage):
    """A named pipe, a socket or a device, which is not opened: reading it may never end."""

    reason = Reason.NOT_REGULAR


class UnreadableVideo(TwimagerError):
    """A file that is no video, or of which no frame can be decoded."""

    reason = Reason.UNREADABLE
