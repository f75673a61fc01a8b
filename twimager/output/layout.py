"""The folders of a run: check them, name the outputs, write files whole or not at all."""

from __future__ import annotations

import errno
import os
import sys
import threading
import unicodedata
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from twimager.errors import TwimagerError, UsageError
from twimager.options import Naming, Options, Output
from twimager.runtime import cleanup
from twimager.runtime.folders import Folder, LinkInDest, is_link, is_shared, opened

LR, HR, REPORT_FOLDER = "LR", "HR", "report"
REPORT, TABLE, PAGE, META_INFO = "report.json", "pairs.csv", "report.html", "meta_info.txt"
# Hidden, as loaders read all that lies open in DEST.
JOURNALS = ".twimager"
# Errors that concern one file's name; any other failure to write concerns them all.
NAME_ERRORS = {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}
# What some network file systems answer to fsync.
NO_SYNC = {errno.EINVAL, errno.ENOTSUP}
# Held while the files of a pair take their names: who ends the process at once waits for that, so that no pair is half
# there.
placing = threading.Lock()


class UnwritableName(TwimagerError):
    """A name that the file system does not take, while it takes others."""


def check_folders(options: Options) -> None:
    """Raise UsageError unless LR and HR are folders, DEST may be written to, and none lies inside another."""
    for flag, folder in (("--lr", options.lr), ("--hr", options.hr)):
        if not folder.exists():
            raise UsageError(f"{flag}: there is no folder {folder}")
        if not folder.is_dir():
            raise UsageError(f"{flag}: {folder} is a file; name the folder that holds the images")
    folders = {"--lr": options.lr, "--hr": options.hr}
    if options.run.dest is not None:
        folders["--dest"] = options.run.dest
        _check_dest(options.run.dest, options)
    for flag, folder in folders.items():
        if options.run.save and options.run.save.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"--save: {options.run.save} lies in the folder of {flag}; keep it apart from the images")
        for other, parent in folders.items():
            if flag != other and folder.resolve().is_relative_to(parent.resolve()):
                raise UsageError(f"{flag} is the folder of {other} or inside it; keep the three folders apart")


def _check_dest(dest: Path, options: Options) -> None:
    if dest.exists() and not dest.is_dir():
        raise UsageError(f"--dest: {dest} is a file; name a folder")
    if not options.run.follow_dest_links:
        check_links(_written(dest, options), "--dest: ", " unless --follow_dest_links is given")
    if not dest.is_dir() or options.run.overwrite or (options.run.dry and not options.run.report):
        return
    names = {path.name for path in dest.iterdir()}
    if names and (
        options.run.dry or JOURNALS not in names
    ):  # what its journal says of a DEST is for the journal to judge
        raise not_empty(dest)


def _written(dest: Path, options: Options) -> Iterator[Path]:
    """Yield what a run writes below DEST, a folder before what lies in it."""
    if not options.run.dry:
        yield from own_files(dest)
        if options.write.output is Output.ALL:
            yield from (dest / LR, dest / HR)
    for path in document_paths(options).values():
        yield from (path.parent, path) if path.parent != dest else (path,)


def own_files(dest: Path) -> Iterator[Path]:
    """Yield Twimager's hidden folder in DEST, and what lies in it."""
    yield dest / JOURNALS
    yield from sorted((dest / JOURNALS).glob("*"))


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
    """Return where the documents of a run go that are asked for, by name.

    They are kept in DEST, but beside no images, as loaders read all that lies there.
    """
    if options.run.dest is None:
        return {}
    names = [REPORT, TABLE, PAGE] * options.run.report + [META_INFO] * options.run.meta_info
    folder = options.run.dest if options.write.output is Output.ALL else options.run.dest / REPORT_FOLDER
    return {name: folder / name for name in names}


class Names:
    """What the files of a pair are called: flat, unique, the same from run to run."""

    def __init__(self, options: Options, lrs: Sequence[Path], hrs: Sequence[Path]) -> None:
        """Name all files of both sides, in a pair or not, so that no name depends on what is found."""
        self._options = options
        self._lr = flat_names(lrs, options.lr)
        self._hr = flat_names(hrs, options.hr)

    def outputs(self, lr: Path, hr: Path) -> tuple[Path | None, Path | None]:
        """Return where the LR and the HR of a pair go; None for a side that is not written."""
        options = self._options
        if options.run.dest is None:
            return None, None
        lr_own, hr_own = self._lr[lr], self._hr[hr]
        if options.select.all_matches:  # an image may be in several pairs
            lr_own, hr_own = f"{lr_own}__{hr_own}", f"{hr_own}__{lr_own}"
        lr_name = hr_own if options.write.filename is Naming.HR else lr_own
        hr_name = lr_own if options.write.filename is Naming.LR else hr_own
        both = options.write.output is Output.ALL
        lr_out = (options.run.dest / LR if both else options.run.dest) / self._file(lr_name)
        hr_out = (options.run.dest / HR if both else options.run.dest) / self._file(hr_name)
        return (
            lr_out if options.write.output is not Output.HR else None,
            hr_out if options.write.output is not Output.LR else None,
        )

    def _file(self, name: str) -> str:
        return (
            "_".join(filter(None, (self._options.write.prefix, name, self._options.write.suffix)))
            + f".{self._options.write.format.value}"
        )


def flat_names(paths: Sequence[Path], folder: Path) -> dict[Path, str]:
    """Give every path a name of its own without folders and extension.

    The stem where no other file has it, else the folders, stem and extension joined by `_`, numbered if even that
    is taken. Letters that differ only in case are the same: on many file systems they are.
    """
    stems = Counter(folded(path.stem) for path in paths)
    names = {path: path.stem for path in paths if stems[folded(path.stem)] == 1}
    taken = {folded(name) for name in names.values()}
    for path in sorted(set(paths) - names.keys(), key=lambda p: p.relative_to(folder).parts):
        *folders, _ = path.relative_to(folder).parts
        base = name = "_".join([*folders, path.stem, path.suffix.lstrip(".")])
        number = 2
        while folded(name) in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(folded(name))
        names[path] = name
    return names


def folded(name: str) -> str:
    """Return what is the same for names that some file systems take for one."""
    return unicodedata.normalize("NFC", name).casefold()


def write_files(files: Mapping[Path, bytes], run: str, replace: bool = False, dest: Path | None = None) -> None:
    """Write files so that each appears whole or not at all, and none unless all could be stored.

    `run` is named in the temporary files' names. A file that is there already is only replaced where that is asked
    for; one of the same contents is as good as written. Below `dest`, if that is given, no link is followed.

    Raises
    ------
    UnwritableName
        If one of the names is taken, or the file system does not take it.
    TwimagerError
        If nothing can be written there any more: a full disk, a lost permission, a folder that became a link.
    """
    staged = {path: _temporary(path, run) for path in files}
    cleanup.register(staged.values())
    placed: list[Path] = []
    folders: dict[Path, Folder] = {}
    with ExitStack() as stack:
        try:
            for path, temporary in staged.items():
                if path.parent not in folders:
                    folders[path.parent] = stack.enter_context(opened(path.parent, dest, make=True))
                _store(temporary, files[path], folders[path.parent])
            with placing:
                for path, temporary in staged.items():
                    if _place(temporary, path, folders[path.parent], replace):
                        placed.append(path)
        except OSError as error:
            _remove(placed, folders)
            if error.errno == errno.EEXIST:
                raise UnwritableName(f"{path} is there already, and not of this job") from error
            if error.errno in NAME_ERRORS:
                raise UnwritableName(f"{path}: {error.strerror}") from error
            raise unwritable(path, error) from error
        finally:
            _remove(staged.values(), folders)
            cleanup.remove(staged.values())


def _remove(files: Iterable[Path], folders: Mapping[Path, Folder]) -> None:
    """Delete files of open folders, as far as they are there."""
    for path in files:
        with suppress(OSError, KeyError):
            folders[path.parent].unlink(path.name)


def unwritable(path: Path, error: OSError) -> TwimagerError:
    """Return the error that ends a run that can't write to DEST."""
    return TwimagerError(f"cannot write {path}: {error.strerror}; make room and add --resume, or choose another --dest")


def _store(path: Path, data: bytes, folder: Folder) -> None:
    """Write a new file and have it on the disk, so that what stands in its place later is whole, come what may."""
    with folder.open(path.name, "xb") as file:
        file.write(data)
        file.flush()
        sync_file(file.fileno())


def sync_file(descriptor: int) -> None:
    """Flush an open file, or the names in an open folder, to the disk, where its file system can do that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk; nothing is done on Windows, or if it is missing or can't be read."""
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, PermissionError):
        return
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def sync_folder_and_parents(folder: Path) -> None:
    """Flush the names in a folder and in all around it, up to the root of its file system: some may be new."""
    for one in (folder.absolute(), *folder.absolute().parents):
        sync_folder(one)
        if os.path.ismount(one):
            return


def _place(temporary: Path, path: Path, folder: Folder, replace: bool) -> bool:
    """Give a stored file its name; False if one of the same contents has it. FileExistsError if another one has."""
    here: dict[str, Any] = {"src_dir_fd": folder.descriptor, "dst_dir_fd": folder.descriptor}
    old, new = folder.at(temporary.name), folder.at(path.name)
    if replace:
        os.replace(old, new, **here)
        return True
    try:
        os.link(old, new, **here)  # unlike a rename, never over another file
    except OSError:  # the name is taken, or this file system has no links
        if folder.mode(path.name) is None:
            os.rename(old, new, **here)
            return True
        if not _are_equal(folder, temporary.name, path.name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        folder.unlink(temporary.name)
        return False
    folder.unlink(temporary.name)
    return True


def _are_equal(folder: Folder, *names: str) -> bool:
    """Tell whether files are there and hold the same; what is no regular file holds nothing."""
    contents: list[bytes] = []
    for name in names:
        try:
            with folder.open(name, "rb", links=folder.descriptor is None) as file:
                contents.append(file.read())
        except (OSError, LinkInDest):
            return False
    return contents[0] == contents[1]


def _temporary(path: Path, run: str) -> Path:
    """Return a name beside `path` that nobody else has."""
    return path.with_name(f".twimager-{run}-{uuid.uuid4().hex}.tmp")


def written_folders(dest: Path) -> tuple[Path, ...]:
    """Return the folders that a run may write images and documents to, whether they are there or not."""
    return dest, *(dest / name for name in (LR, HR, REPORT_FOLDER))


def remove_temporary(dest: Path, run: str, follow_links: bool = False) -> None:
    """Delete what a run that is no more has left half written in DEST, and nothing else."""
    for folder in written_folders(dest):
        with suppress(OSError, LinkInDest), opened(folder, None if follow_links else dest) as here:
            for name in here.names():
                if name.startswith(f".twimager-{run}-") and name.endswith(".tmp"):
                    with suppress(OSError):
                        here.unlink(name)
