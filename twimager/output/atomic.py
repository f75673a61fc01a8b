"""Write files so that each appears whole or not at all, come what may."""

from __future__ import annotations

import errno
import os
import sys
import threading
import uuid
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from twimager.errors import TwimagerError
from twimager.output.layout import JOURNALS, TEMPORARY, written_folders
from twimager.runtime import cleanup
from twimager.runtime.folders import Folder, LinkInDest, opened

# Errors that concern one file's name; any other failure to write concerns them all.
NAME_ERRORS = {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}
# What a full disk, or a quota, answers.
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
# What some network file systems answer to fsync.
NO_SYNC = {errno.EINVAL, errno.ENOTSUP}
# Held while the files of a pair get their names: code that ends the process at once waits for it, so that no pair is
# half there.
placing = threading.Lock()


class UnwritableName(TwimagerError):
    """A file that can't be written because of its name, while others can."""


def write_files(
    files: Mapping[Path, bytes],
    run: str,
    replace: bool = False,
    dest: Path | None = None,
    staging: Path | None = None,
) -> None:
    """Write files so that each appears whole or not at all, and none unless all could be stored.

    `run` is part of the temporary files' names, which are in `staging` where that is of the same file system, else
    beside the files. A file that is there already is only replaced with `replace`; one of the same contents is as good
    as written. Below `dest`, if that is given, no link is followed. A folder that is deleted meanwhile is made again,
    once.

    Raises
    ------
    UnwritableName
        If one of the names is taken, or impossible on this file system.
    TwimagerError
        If nothing can be written there any more: a full disk, a lost permission, a folder that became a link.
    """
    for last in (False, True):
        staged: dict[Path, Path] = {}
        placed: list[Path] = []
        folders: dict[Path, Folder] = {}
        with ExitStack() as stack:
            try:
                for path in {path.parent for path in files} | ({staging} if staging else set()):
                    folders[path] = stack.enter_context(opened(path, dest, make=True))
                for path, data in files.items():
                    apart = staging and folders[staging].device == folders[path.parent].device
                    staged[path] = (staging if staging and apart else path.parent) / temporary_name(run)
                    cleanup.register([staged[path]])
                    _store(staged[path], data, folders[staged[path].parent])
                with placing:
                    for path, temporary in staged.items():
                        if _place(temporary, path, folders, replace):
                            placed.append(path)
                return
            except OSError as error:
                _remove(placed, folders)
                if error.errno == errno.ENOENT and not last:
                    continue  # a folder was deleted meanwhile: it is made again
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
    mend = "make room" if error.errno in FULL else "mend that"
    return TwimagerError(f"cannot write {path}: {error.strerror}; {mend} and add --resume, or choose another --dest")


def _store(path: Path, data: bytes, folder: Folder) -> None:
    """Write a new file and flush it to the disk, so that what takes its name later is whole, come what may."""
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


def _place(temporary: Path, path: Path, folders: Mapping[Path, Folder], replace: bool) -> bool:
    """Give a stored file its name; False if one of the same contents has it. FileExistsError if another one has."""
    staging, folder = folders[temporary.parent], folders[path.parent]
    here: dict[str, Any] = {"src_dir_fd": staging.descriptor, "dst_dir_fd": folder.descriptor}
    old, new = staging.at(temporary.name), folder.at(path.name)
    if replace:
        os.replace(old, new, **here)
        return True
    try:
        os.link(old, new, **here)  # unlike a rename, never over another file
    except OSError:  # the name is taken, or this file system has no links
        if folder.mode(path.name) is None:
            os.rename(old, new, **here)
            return True
        if not _are_equal((staging, temporary.name), (folder, path.name)):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        staging.unlink(temporary.name)
        return False
    staging.unlink(temporary.name)
    return True


def _are_equal(*files: tuple[Folder, str]) -> bool:
    """Tell whether files are there and hold the same; what is no regular file holds nothing."""
    contents: list[bytes] = []
    for folder, name in files:
        try:
            with folder.open(name, "rb", links=folder.descriptor is None) as file:
                contents.append(file.read())
        except (OSError, LinkInDest):
            return False
    return contents[0] == contents[1]


def temporary_name(run: str) -> str:
    """Return a name for a temporary file of a run, which no other one has."""
    return f".twimager-{run}-{uuid.uuid4().hex}{TEMPORARY}"


def remove_temporary(dest: Path, run: str, follow_links: bool = False) -> None:
    """Delete the temporary files that an ended run has left in DEST, and nothing else."""
    for folder in (*written_folders(dest), dest / JOURNALS):
        with suppress(OSError, LinkInDest), opened(folder, None if follow_links else dest) as here:
            for name in here.names():
                if name.startswith(f".twimager-{run}-") and name.endswith(TEMPORARY):
                    with suppress(OSError):
                        here.unlink(name)
