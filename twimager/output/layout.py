"""The folders of a run: what lies where in DEST, and whether a run may go there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from twimager.errors import UsageError, require
from twimager.image.folders import VIDEOS, require_folder
from twimager.options import ClipsLayout, Options, Output, Partial
from twimager.runtime.folders import is_link, is_shared

LR, HR, MASK = "LR", "HR", "MASK"
# What --split puts pairs into; each holds LR, HR and MASK as DEST does otherwise.
TRAIN, VAL = "train", "val"
# Where images are, as seen from DEST.
IMAGE_FOLDERS = tuple(f"{subset}{name}" for subset in ("", f"{TRAIN}/", f"{VAL}/") for name in (LR, HR, MASK))
# Where the frames of clips are in these, which hold folders then.
CLIP_FRAME = re.compile(r"([0-9]{3,}/[0-9]{8}|[0-9]{5}/[0-9]{4,}/im[1-7])\.png")
REPORT, TABLE, PAGE = "report.json", "pairs.csv", "report.html"
# Of videos, with the report: the segments of their time maps.
SEGMENTS = "timeline.csv"
# What --meta_info, --hf and --lmdb write.
META_INFO, META_INFO_PAIR, METADATA = "meta_info.txt", "meta_info_pair.txt", "metadata.jsonl"
# What --clips writes.
CLIPS_INFO, SEPTUPLETS = "meta_info_clips.txt", "sep_trainlist.txt"
DATABASES = {side: f"{side}.lmdb" for side in (LR, HR)}
DATA = "data.mdb"
_ALL_LISTS = (
    META_INFO,
    META_INFO_PAIR,
    METADATA,
    CLIPS_INFO,
    SEPTUPLETS,
    *(f"{database}/{META_INFO}" for database in DATABASES.values()),
)
LISTS = tuple(f"{subset}{name}" for subset in ("", f"{TRAIN}/", f"{VAL}/") for name in _ALL_LISTS)
# Twimager's own folder in DEST. LR, HR and MASK hold nothing but images, as loaders read all that lies in a folder and
# below it, hidden or not, whatever it is called.
JOURNALS = ".twimager"
# In it, what the workers of a cluster share while a run lasts.
SHARDS = "shards"
# How the names of temporary files end.
TEMPORARY = ".tmp"


def is_image_path(name: str) -> bool:
    """Return whether a path, as seen from DEST and with slashes, is one that an image may have."""
    folder = next((one for one in IMAGE_FOLDERS if name.startswith(f"{one}/")), None)
    rest = name[len(folder) + 1 :] if folder else ""
    plain = "\0" not in rest and PurePath(rest).name == rest and rest not in ("", "..")
    return plain or CLIP_FRAME.fullmatch(rest) is not None


def check_folders(options: Options) -> None:
    """Raise UsageError unless LR and HR are folders or videos, DEST may be written to, and none lies inside another."""
    for flag, folder in (("--lr", options.lr), ("--hr", options.hr)):
        if not (folder.is_file() and folder.suffix.lower() in VIDEOS):
            require_folder(folder, f"{flag}: ")
    folders = {"--lr": options.lr, "--hr": options.hr}
    if options.run.dest is not None:
        folders["--dest"] = options.run.dest
        _check_dest(options.run.dest, options)
    for flag, folder in folders.items():
        require_apart("--save", options.run.save, flag, folder)
        for other, parent in folders.items():
            same_file = flag != other and folder.is_file() and folder.resolve() == parent.resolve()
            require(not same_file, f"{folder} is named twice; name two videos")
            if flag != other and folder.resolve().is_relative_to(parent.resolve()):
                raise UsageError(f"{flag} is the folder of {other} or inside it; keep the three folders apart")


def require_apart(file_flag: str, file: Path | None, flag: str, folder: Path | None) -> None:
    """Raise UsageError if a file that is written lies in a folder of images."""
    if file and folder and file.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{file_flag}: {file} lies in the folder of {flag}; keep it apart from the images")


def _check_dest(dest: Path, options: Options) -> None:
    if dest.exists() and not dest.is_dir():
        raise UsageError(f"--dest: {dest} is a file; name a folder")
    if not options.run.follow_dest_links:
        check_links(_written(dest, options), "--dest: ", " unless --follow_dest_links is given")
    if not dest.is_dir() or options.run.overwrite or (options.run.dry and not options.run.report):
        return
    names = {path.name for path in dest.iterdir()}
    if names and JOURNALS not in names:  # a DEST with a journal is tested when that is read
        raise not_empty(dest)


def _written(dest: Path, options: Options) -> Iterator[Path]:
    """Yield what a run writes below DEST, a folder before what lies in it."""
    if not options.run.dry:
        yield from own_files(dest)
        for subset in subsets(options):
            if subset != dest:  # which may itself be a link
                yield subset
            yield from (subset / side for side in sides(options.write.output))
            if options.pair.framing.partial is Partial.MASK:
                yield subset / MASK
        for database in databases(options):
            yield from (database, database / DATA)
    yield from document_paths(options).values()


def own_files(dest: Path) -> Iterator[Path]:
    """Yield Twimager's hidden folder in DEST, and what lies in it, but for temporary files.

    Those are made and deleted, never written into; one that a killed run has left is a hard link of an image, maybe.
    """
    yield dest / JOURNALS
    yield from (path for path in sorted((dest / JOURNALS).glob("*")) if path.suffix != TEMPORARY)


def check_links(paths: Iterable[Path], flag: str = "", unless: str = "") -> None:
    """Raise UsageError if one of the paths is a link, or a hidden file of Twimager that has another name elsewhere."""
    for path in paths:
        hard = path.parent.name == JOURNALS and is_shared(path)
        if hard or is_link(path):
            kind = "hard link" if hard else "link"
            raise UsageError(f"{flag}{path} is a {kind}; nothing is written through links in DEST{unless}")


def not_empty(dest: Path, more: str = "") -> UsageError:
    """Return the error for a DEST that holds something."""
    return UsageError(
        f"--dest: {dest} is not empty; name another folder, or add --overwrite (nothing is deleted){more}"
    )


def document_paths(options: Options) -> dict[str, Path]:
    """Return the paths of the documents that a run writes, by name."""
    if options.run.dest is None:
        return {}
    names = [REPORT, TABLE, PAGE] * options.run.report + list(_lists(options))
    return {name: options.run.dest / name for name in names}


def _lists(options: Options) -> Iterator[str]:
    """Yield the names of the lists that are written, as seen from DEST."""
    run, both, written = options.run, options.write.output is Output.ALL, sides(options.write.output)
    names = [META_INFO, *[META_INFO_PAIR] * both] * run.meta_info + [METADATA] * run.hf
    names += [f"{DATABASES[side]}/{META_INFO}" for side in written] * run.lmdb
    names += lists_of_clips(options)
    for prefix in (f"{TRAIN}/", f"{VAL}/") if options.write.split else ("",):
        yield from (f"{prefix}{name}" for name in names)


def lists_of_clips(options: Options) -> list[str]:
    """Return the lists of the clips that are written: traiNNer's are found by their names alone."""
    if not options.video.clips or options.run.dry:
        return []
    lists = {ClipsLayout.REDS: [CLIPS_INFO], ClipsLayout.VIMEO: [CLIPS_INFO, SEPTUPLETS], ClipsLayout.TRAINNER: []}
    return lists[options.video.clips_layout]


def subsets(options: Options) -> tuple[Path, ...]:
    """Return the folders that hold the sides: DEST, or those of `--split`."""
    dest = options.run.dest
    assert dest
    return (dest / TRAIN, dest / VAL) if options.write.split else (dest,)


def databases(options: Options) -> list[Path]:
    """Return the folders of the databases that are written."""
    if not options.run.lmdb:
        return []
    return [subset / DATABASES[side] for subset in subsets(options) for side in sides(options.write.output)]


def sides(output: Output) -> tuple[str, ...]:
    """Return the names of the folders in DEST for the sides that are written."""
    return {Output.LR: (LR,), Output.HR: (HR,), Output.ALL: (LR, HR)}[output]


def written_folders(dest: Path) -> tuple[Path, ...]:
    """Return the folders that a run may write images and documents to, whether they are there or not."""
    subsets = dest, dest / TRAIN, dest / VAL
    return (*subsets, *(subset / name for subset in subsets for name in (LR, HR, MASK, *DATABASES.values())))
