"""Folders and files of DEST, opened without following a link: DEST may be of another making.

Where the system can, files are opened, moved and deleted as seen from an open folder: whatever takes the folder's name
meanwhile makes no difference then.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from twimager.errors import TwimagerError

HAS_DESCRIPTORS = hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY") and os.supports_dir_fd.issuperset(
    {os.open, os.mkdir, os.link, os.symlink, os.rename, os.unlink, os.rmdir, os.stat}
)  # fmt: skip
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# A pipe is not waited for: it is no regular file, which shows once it is open.
NO_WAIT = getattr(os, "O_NONBLOCK", 0)
# What Windows calls a junction.
JUNCTION = 0xA0000003


class LinkInDest(TwimagerError):
    """Something below DEST is a link, which is not followed."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is a link; no link below DEST is written through")


class Folder(NamedTuple):
    """An open folder.

    Attributes
    ----------
    path : where it was opened
    descriptor : of the folder; None where `path` is used instead
    """

    path: Path
    descriptor: int | None = None

    def at(self, name: str) -> str:
        """Return what functions of `os` take for a file in here, along with the descriptor."""
        return name if self.descriptor is not None else str(self.path / name)

    def names(self) -> list[str]:
        """Return the names of all that is in here, sorted."""
        return sorted(os.listdir(self.path if self.descriptor is None else self.descriptor))

    def mode(self, name: str) -> int | None:
        """Return the mode of a file in here, which is not followed if it is a link; None if there is none."""
        try:
            return os.stat(self.at(name), dir_fd=self.descriptor, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return None

    def open(self, name: str, mode: str, buffering: int = -1, links: bool = False) -> IO[Any]:
        """Open a regular file in here; without `links` neither through a link nor, to write, one with another name."""

        def opener(_: str, flags: int) -> int:
            descriptor = self._open(name, flags & ~os.O_TRUNC, links)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise OSError(errno.EINVAL, "not a regular file", str(self.path / name))
                if not links and flags & (os.O_WRONLY | os.O_RDWR) and status.st_nlink > 1:
                    raise LinkInDest(self.path / name)
                if flags & os.O_TRUNC:
                    os.ftruncate(descriptor, 0)
            except BaseException:
                os.close(descriptor)
                raise
            return descriptor

        return open(name, mode, buffering, opener=opener)

    def _open(self, name: str, flags: int, links: bool) -> int:
        if not links and not NO_LINK and is_link(self.path / name):
            raise LinkInDest(self.path / name)
        try:
            return os.open(self.at(name), flags | NO_WAIT | (0 if links else NO_LINK), 0o666, dir_fd=self.descriptor)
        except OSError as error:
            if not links and is_link(self.path / name):
                raise LinkInDest(self.path / name) from error
            raise

    @property
    def device(self) -> int:
        """The number of its file system."""
        return os.stat(self.path if self.descriptor is None else self.descriptor).st_dev

    def move(self, name: str, other: Folder) -> None:
        """Move a file in here to another folder, under the same name."""
        os.rename(self.at(name), other.at(name), src_dir_fd=self.descriptor, dst_dir_fd=other.descriptor)

    def unlink(self, name: str) -> None:
        """Delete a file in here, or a link."""
        os.unlink(self.at(name), dir_fd=self.descriptor)

    def rmdir(self, name: str) -> None:
        """Delete an empty folder in here."""
        os.rmdir(self.at(name), dir_fd=self.descriptor)


@contextmanager
def opened(folder: Path, dest: Path | None, make: bool = False) -> Iterator[Folder]:
    """Open a folder of DEST, with `make` a new one if it is missing; without `dest` links are followed.

    Raises
    ------
    LinkInDest
        If a link below `dest` leads there.
    OSError
        If it can't be opened or made.
    """
    if make:
        (dest or folder).mkdir(parents=True, exist_ok=True)
    if dest is None:
        yield Folder(folder)
        return
    path = dest
    descriptor = os.open(dest, os.O_RDONLY | os.O_DIRECTORY) if HAS_DESCRIPTORS else None
    try:
        for part in folder.relative_to(dest).parts:
            here, path = Folder(path, descriptor), path / part
            if make:
                with suppress(FileExistsError):
                    os.mkdir(here.at(part), dir_fd=descriptor)
            if descriptor is None:
                if is_link(path):
                    raise LinkInDest(path)
                continue
            try:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | NO_LINK, dir_fd=descriptor)
            except OSError as error:
                if is_link(path):
                    raise LinkInDest(path) from error
                raise
            os.close(descriptor)
            descriptor = inner
        yield Folder(folder, descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def open_file(path: Path, mode: str, dest: Path | None, buffering: int = -1) -> IO[Any]:
    """Open a regular file of DEST as `Folder.open` does; without `dest` links are followed."""
    with opened(path.parent, dest) as folder:
        return folder.open(path.name, mode, buffering, links=dest is None)


def read_file(path: Path, dest: Path | None = None) -> bytes:
    """Return what a regular file holds; raises as `open_file` does."""
    with open_file(path, "rb", dest) as file:
        data: bytes = file.read()
        return data


def is_link(path: Path) -> bool:
    """Tell whether a path is a link, be it broken, or a junction."""
    try:
        status = path.lstat()
    except (OSError, ValueError):
        return False
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == JUNCTION


def is_shared(path: Path) -> bool:
    """Tell whether a file has another name somewhere: what is written into it is written there too."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink > 1
