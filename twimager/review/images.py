"""The images that the page of a review shows: by number, so that no request holds a path."""

from __future__ import annotations

import os
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from twimager.errors import UnreadableImage
from twimager.image.browser import read_inside
from twimager.report.schema import PairRecord, Side
from twimager.review.review import Review
from twimager.web.site import Refusal

NO_IMAGE = "image/none"


class Image(NamedTuple):
    """An image to serve, as long as it is in `root`, links followed; `moves` if the review may move it."""

    path: Path
    root: Path
    moves: bool


class ServedImages:
    """The images of a review's page; the link to one holds its number. Frames of videos are none of their files.

    Outputs are DEST's own, which the review has checked. Sources are served from the folders of the LRs and HRs, as far
    as the report has them apart from DEST, as they were for the run.
    """

    to_frames = False

    def __init__(self, review: Review) -> None:
        self._review = review
        settings = review.document.used_settings
        folders = {"lr": Path(os.path.realpath(settings.lr)), "hr": Path(os.path.realpath(settings.hr))}
        self._folders = {side: path for side, path in folders.items() if not review.home.is_relative_to(path)}
        self._links: dict[Image, str] = {}
        self.by_link: dict[str, Image] = {}

    def output(self, pair: PairRecord, side: Side) -> str:
        """Return the link to a pair's output."""
        path = self._review.shown(pair)[side]
        return self._link(Image(path, self._review.home, moves=True))

    def source(self, path: str, side: Side) -> str:
        """Return the link to an image as it was found."""
        folder = self._folders.get(side)
        return self._link(Image(Path(path), folder, moves=False)) if folder else NO_IMAGE

    def original(self, path: str, side: Side) -> str:
        """Return the link to the file of an image as it was found; empty if it is not served."""
        link = self.source(path, side)
        return "" if link == NO_IMAGE else link

    def _link(self, image: Image) -> str:
        link = self._links.setdefault(image, f"image/{len(self._links)}")
        self.by_link[link] = image
        return link


def read_image(image: Image) -> bytes:
    """Return the bytes of an image's file; Refusal unless it is a file in the image's folder."""
    try:
        return read_inside(image.path, image.root)
    except UnreadableImage as error:
        raise Refusal(HTTPStatus.NOT_FOUND, f"the image can't be read: {error}") from error
