"""The folders of a run, and what is in its DEST."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2

from tests.support.pictures import cat, picture
from twimager.geometry import Rect

# Where `paste` covers LRs.
CAPTION, LOGO = Rect(20, 10, 60, 50), Rect(150, 90, 35, 20)
# What --report keeps.
KEPT = ["pairs.csv", "report.html", "report.json"]


class Folders(NamedTuple):
    """The three folders of a run; DEST is not there yet."""

    lr: Path
    hr: Path
    dest: Path

    @property
    def flags(self) -> tuple[object, ...]:
        return "--lr", self.lr, "--hr", self.hr, "--dest", self.dest


def make_folders(place: Path) -> Folders:
    made = Folders(place / "low", place / "high", place / "out")
    made.lr.mkdir(parents=True)
    made.hr.mkdir()
    for number, hr in enumerate((cat()[:300, :450], picture("P1040102")[:399, :600])):
        cv2.imwrite(str(made.hr / f"h{number}.png"), hr)
        lr = cv2.resize(hr, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(made.lr / f"l{number}.png"), lr)
    return made


def paste(folders: Folders) -> None:
    """Cover a part of l0 that no HR shows so, and put a logo into l1."""
    for name, area, color in (("l0.png", CAPTION, (30, 200, 240)), ("l1.png", LOGO, (255, 255, 255))):
        lr = cv2.imread(str(folders.lr / name))
        area.cut(lr)[:] = color
        cv2.imwrite(str(folders.lr / name), lr)


def contents(folder: Path) -> dict[str, bytes]:
    """What lies open in a folder, and what is left half written; not the journal."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".twimager" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def images(dest: Path) -> dict[str, bytes]:
    """The images of a DEST, by their path in it."""
    return {name: data for name, data in contents(dest).items() if name.endswith((".png", ".webp"))}
