"""Folders of images as users name them: what to say where one is a file, or holds nothing that can be read here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twimager.errors import UsageError, require
from twimager.image.codecs import CAMERA_RAW, HEIF, JPEG_XL

VIDEOS = frozenset({
    ".3gp", ".asf", ".avi", ".dv", ".f4v", ".flv", ".h264", ".hevc", ".ivf", ".m2t", ".m2ts", ".m2v", ".m4v", ".mkv",
    ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv",
    ".y4m",
})  # fmt: skip
# How files are called that can be read. One by another name that is no image is of another format, not damaged.
IMAGE_SUFFIXES = frozenset({
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".jxl", ".webp", ".avif", ".heif", ".heic",
    ".hif", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".exr", ".hdr", ".pic", ".pbm", ".pgm", ".ppm", ".pxm", ".pnm",
    ".pam", ".pfm", ".sr", ".ras",
})  # fmt: skip
ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"})
# How files are called that only an extra reads. Their contents are not looked at: there may be thousands of them.
OF_EXTRAS = dict.fromkeys((".heic", ".heif", ".hif"), HEIF) | {".jxl": JPEG_XL} | dict.fromkeys(
    (".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw", ".arw", ".sr2", ".raf", ".orf", ".rw2", ".pef", ".srw", ".x3f",
     ".mrw", ".3fr", ".iiq", ".erf", ".kdc"),
    CAMERA_RAW,
)  # fmt: skip
FRAMES_FIRST = (
    "take frames from it first, into a folder: "
    "https://github.com/twimager/twimager/blob/main/docs/recipes.md#film-frames"
)


def require_folder(folder: Path, flag: str = "") -> None:
    """Raise UsageError, which begins with `flag`, unless a folder is there; of a file it says what to name instead."""
    kind = "video" if folder.suffix.lower() in VIDEOS else "folder"
    require(folder.exists(), f"{flag}there is no {kind} {folder}")
    require(folder.is_dir(), f"{flag}{folder} is a {_instead(folder)}")


def _instead(file: Path) -> str:
    """Return what a file is, and what to do about it."""
    suffix = file.suffix.lower()
    if suffix in VIDEOS:
        return f"video; {FRAMES_FIRST}"
    if suffix in ARCHIVES:
        return "file; unpack it, and name the folder that holds the images"
    return f"file; name the folder that holds the images, as {file.parent}"


def require_readable(paths: Sequence[Path], flag: str = "", videos: bool = False) -> None:
    """Raise UsageError if by their names all files are of formats that are not read here; it says what helps.

    With `videos` those are read, too.
    """
    suffixes = {path.suffix.lower() for path in paths}
    if suffixes <= VIDEOS and not videos:
        raise UsageError(f"{flag}{_all(paths)} a video; {FRAMES_FIRST}")
    codecs = {OF_EXTRAS[suffix] for suffix in suffixes if suffix in OF_EXTRAS}
    if suffixes <= OF_EXTRAS.keys() and all(codec.missing for codec in codecs):
        packages = sorted({package for codec in codecs for package in codec.missing})
        names = " or ".join(sorted(codec.name for codec in codecs))
        raise UsageError(f"{flag}{_all(paths)} {names}, which is not read here: pip install {' '.join(packages)}")


def _all(paths: Sequence[Path]) -> str:
    return f"each of the {len(paths)} files there is" if len(paths) > 1 else f"{paths[0]}, the only file there, is"


def are_videos(paths: Sequence[Path]) -> bool:
    """Tell by their names whether there are videos and no more images than these, as pictures of covers."""
    videos = len(videos_among(paths))
    return videos > 0 and videos >= sum(path.suffix.lower() in IMAGE_SUFFIXES for path in paths)


def videos_among(paths: Sequence[Path]) -> list[Path]:
    """Return the files that are videos by their names."""
    return [path for path in paths if path.suffix.lower() in VIDEOS]
