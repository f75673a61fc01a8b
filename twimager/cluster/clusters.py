"""Groups of images: their best member, and what is said of them on the terminal and as JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from twimager import __version__
from twimager.cluster.clustering import Labels, Linkage, members_of
from twimager.errors import ExitCode, UnreadableImage
from twimager.fingerprint.fingerprint import Fingerprint, picture
from twimager.image.decode import LIBRARY_ERRORS
from twimager.image.files import Pixels, to_8_bit, to_gray
from twimager.pairing.read import Run

PAGE = "clusters.html"
# Of equally large images, those whose sharpness is no less than this share of the sharpest one's are as sharp.
AS_SHARP = 0.9
# What measuring it takes: the gray, softened and derived, 4 bytes a pixel each.
SHARPNESS_BYTES = 17
HEADING = "items per cluster : number of such clusters"


@dataclass(frozen=True)
class Group:
    """Images that are alike: its number, from 1 on, and its members, the best one first."""

    number: int
    members: Sequence[Fingerprint]

    @property
    def best(self) -> Fingerprint:
        """The member with the most pixels, of those the sharpest, of as sharp ones that with the most bytes."""
        return self.members[0]

    @property
    def folder(self) -> Path:
        """Where its images go, as seen from DEST."""
        return Path(f"cluster_with_{len(self.members)}") / f"cluster_{self.number}"


@dataclass(frozen=True)
class Settings:
    """What the user asked for; the README's option table says what each means. Without `dest` nothing is written."""

    folders: Sequence[Path]
    dest: Path | None
    similarity: float
    hash_side: int
    linkage: Linkage
    resize: float
    verify: bool
    save: Path | None
    jobs: int
    max_pixels: int


@dataclass(frozen=True)
class Found:
    """What came of it: the groups, the largest first, and how many files could not be read."""

    groups: Sequence[Group]
    settings: Settings
    unreadable: int

    @property
    def exit_code(self) -> ExitCode:
        """What the outcome means to the caller; the gravest applies."""
        if not any(len(group.members) > 1 for group in self.groups):
            return ExitCode.NO_PAIR
        return ExitCode.INCOMPLETE if self.unreadable else ExitCode.DONE

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """How many members, and how many groups have so many; the fewest first."""
        return sorted(Counter(len(group.members) for group in self.groups).items())


def sharpness(pixels: Pixels) -> float:
    """Return how sharp a picture is: the variance of its Laplacian, softened by a pixel, as a share of its own.

    Of 30 photographs a blur of 0.6 pixels took a quarter to two fifths of it; JPEG, from quality 95 down to 30, and
    colour casts changed it by 9 % at most. Unsoftened, the noise that JPEG adds would pass for details.
    """
    gray = to_8_bit(to_gray(pixels)).astype(np.float32)
    return float(cv2.Laplacian(cv2.GaussianBlur(gray, (0, 0), 1), cv2.CV_32F).var() / (gray.var() + 1))


def by_quality(run: Run, images: Sequence[Fingerprint], labels: Labels) -> list[Group]:
    """Return the groups, the largest first, the best member of each in front, the others by path."""
    together = [[images[place] for place in members] for members in members_of(labels)]
    largest = [members if len(members) == 1 else _largest(members) for members in together]
    rivals = [image for members in largest if len(members) > 1 for image in members]
    sharp = dict(zip((image.path for image in rivals), _sharpness(run, rivals), strict=True))
    ordered = []
    for members, first in zip(together, largest, strict=True):
        least = AS_SHARP * max(sharp.get(image.path, 0) for image in first)
        best = min(
            (image for image in first if sharp.get(image.path, 0) >= least),
            key=lambda image: (-_bytes(run, image), image.path),
        )
        ordered.append([best, *sorted((image for image in members if image is not best), key=lambda i: i.path)])
    ordered.sort(key=lambda members: (-len(members), min(image.path for image in members)))
    return [Group(number, members) for number, members in enumerate(ordered, start=1)]


def _bytes(run: Run, image: Fingerprint) -> int:
    seen = run.seen[image.path]
    return seen.bytes if seen else 0


def _largest(members: Sequence[Fingerprint]) -> list[Fingerprint]:
    most = max(image.size[0] * image.size[1] for image in members)
    return [image for image in members if image.size[0] * image.size[1] == most]


def _sharpness(run: Run, images: Sequence[Fingerprint]) -> Iterator[float]:
    """Yield how sharp each image is; what is known of it from an earlier run, or can't be read, is not read."""
    known = [_number(run.store.evaluation([image.path], "sharpness")) for image in images]
    run.progress.expect(len(images))
    with run.progress.stage("comparing sharpness"):
        measured = run.in_order(_measured, zip(images, known, strict=True))
        for image, before, value in zip(images, known, run.progress.counted(measured), strict=True):
            if before is None and value is not None:
                run.store.keep_evaluation([image.path], "sharpness", repr(value))
            yield value or 0.0


def _number(text: str | None) -> float | None:
    """Return the sharpness that was kept as text; None if that is none."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _measured(task: tuple[Fingerprint, float | None]) -> float | None:
    image, known = task
    try:
        if known is not None:
            return known
        with picture(image, more=SHARPNESS_BYTES) as pixels:
            return sharpness(pixels)
    except (UnreadableImage, *LIBRARY_ERRORS):
        return None


def to_text(found: Found) -> str:
    """Return how many groups of how many there are."""
    dest = found.settings.dest
    lines = [HEADING, *(f"{size} : {count}" for size, count in found.sizes)]
    return "\n".join(lines + ([f"page: {dest / PAGE}"] if dest else []))


def to_json(found: Found) -> str:
    """Return all that was found."""
    settings = found.settings
    document = {
        "twimager": __version__,
        "exit_code": int(found.exit_code),
        "folders": [str(folder.absolute()) for folder in settings.folders],
        "dest": settings.dest and str(settings.dest.absolute()),
        "page": settings.dest and str((settings.dest / PAGE).absolute()),
        "similarity": settings.similarity,
        "bits": settings.hash_side**2,
        "linkage": settings.linkage.value,
        "verified": settings.verify,
        "images": sum(len(group.members) for group in found.groups),
        "unreadable": found.unreadable,
        "sizes": {str(size): count for size, count in found.sizes},
        "clusters": [_group(group) for group in found.groups],
    }
    return json.dumps(document, indent=2)


def _group(group: Group) -> dict[str, Any]:
    return {
        "cluster": group.number,
        "folder": group.folder.as_posix(),
        "best": str(group.best.path.absolute()),
        "members": [
            {"path": str(image.path.absolute()), "size": list(image.frame[2:]), "distance": distance(image, group)}
            for image in group.members
        ],
    }


def distance(image: Fingerprint, group: Group) -> int:
    """Return in how many bits the hashes of an image and of the best one differ."""
    return (image.hashes[0] ^ group.best.hashes[0]).bit_count()
