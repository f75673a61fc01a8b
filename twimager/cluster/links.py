"""Fill the folders of clusters: with links to the images, or with copies."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from twimager.cluster.clusters import Cluster
from twimager.errors import TwimagerError
from twimager.output.atomic import write_files
from twimager.output.names import folded
from twimager.runtime import cleanup
from twimager.runtime.console import Console
from twimager.runtime.folders import Folder, opened


class LinkMode(Enum):
    """How an image gets into the folder of its cluster."""

    SYMBOLIC = "symbolic links"
    HARD = "hard links"
    COPY = "copies"


class Linker:
    """Makes links to images, or copies of them; what is there already stays, but with `replace`."""

    def __init__(self, dest: Path, mode: LinkMode, console: Console, replace: bool) -> None:
        """`dest` is the folder that holds all of them; no link below it is followed."""
        self._dest, self._mode, self._console, self._replace = dest, mode, console, replace
        self._run = uuid.uuid4().hex

    def link(self, image: Path, target: Path) -> None:
        """Make `target` an image's link or copy.

        Raises
        ------
        TwimagerError
            If `target` is there already, or can't be made: a full disk, a file system without such links, a folder that
            is a link.
        """
        try:
            with opened(target.parent, self._dest, make=True) as folder:
                self._make(image, target, folder)
        except FileExistsError as error:
            raise TwimagerError(f"{target} is there already; --overwrite replaces it") from error
        except OSError as error:
            raise TwimagerError(f"cannot write {target}: {error.strerror}{self._advice()}") from error

    def _advice(self) -> str:
        return "" if self._mode is LinkMode.COPY else "; add --copy where there can be no links"

    def _make(self, image: Path, target: Path, folder: Folder) -> None:
        if self._mode is LinkMode.COPY:
            write_files({target: image.read_bytes()}, self._run, self._replace, self._dest)
            with suppress(OSError):
                shutil.copystat(image, target)
        elif self._mode is LinkMode.HARD:
            self._put(partial(os.link, image.resolve(), dst_dir_fd=folder.descriptor), target, folder)
        else:
            try:
                self._put(partial(os.symlink, image.absolute(), dir_fd=folder.descriptor), target, folder)
            except FileExistsError:
                raise
            except OSError as error:  # Windows grants few users the right, and some file systems have no such links
                self._mode = LinkMode.HARD
                self._console.warn(f"no symbolic links here ({error.strerror}): these are hard links")
                self._make(image, target, folder)

    def _put(self, make: Callable[[str], None], target: Path, folder: Folder) -> None:
        if not self._replace:
            make(folder.at(target.name))
            return
        temporary = target.with_name(f".twimager-{self._run}.tmp")
        here: dict[str, Any] = {"src_dir_fd": folder.descriptor, "dst_dir_fd": folder.descriptor}
        cleanup.register([temporary])
        try:
            make(folder.at(temporary.name))
            os.replace(folder.at(temporary.name), folder.at(target.name), **here)
        finally:  # also of two hard links to one file, neither of which replaces the other
            with suppress(FileNotFoundError):
                folder.unlink(temporary.name)
            cleanup.remove([temporary])


def link_all(clusters: Sequence[Cluster], dest: Path, linker: Linker) -> None:
    """Link every image into the folder of its cluster, by its own name or, where another one has it, one like it."""
    for cluster in clusters:
        taken: set[str] = set()
        for image in cluster.members:
            name = _free(image.path, taken)
            taken.add(folded(name))
            linker.link(image.path, dest / cluster.folder / name)


def _free(path: Path, taken: set[str]) -> str:
    name, number = path.name, 2
    while folded(name) in taken:
        name, number = f"{path.stem}_{number}{path.suffix}", number + 1
    return name
