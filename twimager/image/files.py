"""Image files: list them, read their bytes, tell what they hold beside the picture that is used."""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from twimager.errors import NotRegularFile, UnreadableImage, UnsupportedFormat, UsageError
from twimager.image import headers, tiff
from twimager.image.folders import IMAGE_SUFFIXES, require_readable
from twimager.options import Format
from twimager.runtime.memory import budget

# What file managers leave behind; files whose names begin with a dot are passed over too.
NOT_IMAGES = {"thumbs.db", "desktop.ini"}
PILLOW_NAMES = {Format.WEBP: "WEBP", Format.TIFF: "TIFF", Format.TIF: "TIFF", Format.JPG: "JPEG"}
# EXIF's (and TIFF's) tag for how a picture is to be turned, and its value for not at all.
ORIENTATION, UPRIGHT = 0x0112, 1
# Where a PNG says what kind of colour it has, and which kinds are RGB, without and with alpha.
PNG_COLOR, PNG_RGB = 25, (2, 6)
# Bytes that suffice to tell a format. A file may have as many bytes as its pixels (four values of 16 bit) and what else
# a camera puts there: a video or a disk image of that name is not even read.
BEGINNING = 32
MOST_BYTES_PER_PIXEL = 8
OTHER_BYTES = 64 * 1024 * 1024
# What is neither a file nor a folder, by the system's number for it.
SPECIAL = {
    stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip
# Flags that keep a file from blocking who opens it, where it has become a pipe or a terminal meanwhile.
NEVER_BLOCK = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
# What Pillow raises on damaged files, by reading its source and by trying hundreds of thousands of them.
PILLOW_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, ArithmeticError, AttributeError,
    RuntimeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


def list_files(folder: Path, recursive: bool, warn: Callable[[str], None]) -> list[Path]:
    """Return the files of `folder` (and below it), sorted by their path inside it, hidden ones left out.

    Those that are not regular, such as pipes, are among them: reading one fails and says so. Links are followed, a
    folder is entered once, however many lead there. `warn` is called with a line on each folder inside that can't be
    read; for `folder` itself, OSError is raised.
    """
    return sorted(_walk(folder, recursive, warn), key=lambda path: path.relative_to(folder).parts)


def require_files(
    folders: Sequence[Path], recursive: bool, warn: Callable[[str], None], flag: str = "", videos: bool = False
) -> list[Path]:
    """Return the files of folders that the user has named; UsageError if none can be read.

    It begins with `flag`: there are none, or none is of a format that is read here, with `videos` those, too.
    """
    paths = []
    for folder in folders:
        try:
            paths += list_files(folder, recursive, warn)
        except OSError as error:
            raise UsageError(f"{flag}{folder} can't be looked into: {error.strerror}") from error
    if not paths:
        below = "" if recursive else " (--recursive looks into the folders inside too)"
        raise UsageError(f"{flag}there are no files in {', '.join(map(str, folders))}{below}")
    require_readable(paths, flag, videos)
    return paths


def _walk(folder: Path, recursive: bool, warn: Callable[[str], None]) -> Iterator[Path]:
    """Yield all files; linked folders come last, so that what has a path of its own is found under that."""
    real, linked, seen = deque([folder]), deque[Path](), set[str]()
    while real or linked:
        parent = (real or linked).popleft()
        place = os.path.realpath(parent)
        if place in seen:
            continue
        seen.add(place)
        try:
            entries = sorted(parent.iterdir())
        except OSError as error:
            if parent == folder:
                raise
            warn(f"{parent}: can't be looked into: {error.strerror}")
            continue
        for path in entries:
            mode = _mode(path)
            if path.name.startswith(".") or path.name.lower() in NOT_IMAGES:
                continue
            if not stat.S_ISDIR(mode):
                yield path
            elif recursive:
                (linked if path.is_symlink() else real).append(path)


def _mode(path: Path) -> int:
    """Return the mode of what a path leads to, or that of a file: reading what has no mode fails and says why."""
    try:
        return path.stat().st_mode
    except OSError:
        return stat.S_IFREG


@contextmanager
def open_regular(path: Path, buffering: int = -1) -> Iterator[tuple[BinaryIO, int]]:
    """Yield a file, open for reading, and its size in bytes; NotRegularFile if it is a pipe, a device or the like."""
    _require_regular(os.stat(path).st_mode)  # opening some devices does something already
    with open(path, "rb", buffering, opener=lambda name, flags: os.open(name, flags | NEVER_BLOCK)) as file:
        status = os.fstat(file.fileno())
        _require_regular(status.st_mode)
        yield file, status.st_size


def _require_regular(mode: int) -> None:
    if kind := SPECIAL.get(stat.S_IFMT(mode)):
        raise NotRegularFile(kind)


def read_bytes(path: Path) -> bytes:
    """Return what an image file holds; UnreadableImage if it can't be read, is no image or holds too much.

    A TIFF file that begins with a thumbnail comes with its main picture first.

    No more is read than the file's size, which is 0 for those that the system makes up as they are read: some have no
    end.
    """
    try:
        with open_regular(path) as (file, size):
            beginning = file.read(min(size, BEGINNING))
            if not headers.is_supported(beginning) and path.suffix.lower() not in IMAGE_SUFFIXES:
                raise UnsupportedFormat("not an image of a format that can be read")
            if size > MOST_BYTES_PER_PIXEL * headers.max_pixels() + OTHER_BYTES:
                raise UnreadableImage(f"{size} bytes; no image of --max_pixels {headers.max_pixels()} has so many")
            budget.require(size)
            data = beginning + file.read(size - len(beginning))
            return tiff.main_first(data) if data.startswith(tiff.SIGNATURES) else data
    except OSError as error:
        raise UnreadableImage(error.strerror or str(error)) from error


def is_animated(path: Path) -> bool:
    """Tell whether an image file holds more than the picture that is used, its first."""
    try:
        with open_regular(path, buffering=0) as (file, _):
            return headers.is_animated(file)
    except (OSError, struct.error, NotRegularFile):
        return False


def is_plain(data: bytes, kind: Format) -> bool:
    """Tell whether any reader sees in this file just what `decode` does, but for its colour profile.

    That is one of that format, upright, a single picture, and of RGB: no palette, gray, CMYK or CIELAB.
    """
    if kind is Format.PNG:
        is_rgb = data.startswith(headers.PNG_SIGNATURE) and data[PNG_COLOR] in PNG_RGB
        return is_rgb and b"eXIf" not in data and b"acTL" not in data and b"tRNS" not in data
    try:
        with Image.open(BytesIO(data), formats=[PILLOW_NAMES[kind]]) as image:
            single = getattr(image, "n_frames", 1) == 1 and image.getexif().get(ORIENTATION, UPRIGHT) == UPRIGHT
            return single and image.format == PILLOW_NAMES[kind] and image.mode in ("RGB", "RGBA")
    except PILLOW_ERRORS:
        return False
