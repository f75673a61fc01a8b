"""A review in a browser: the report's page, whose pairs can be accepted or deleted, for `web.server` to serve."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from twimager.errors import TwimagerError, UnreadableImage
from twimager.image.decode import decoded_data
from twimager.image.files import encode, read_bytes, to_8_bit
from twimager.image.headers import PNG_SIGNATURE
from twimager.options import Format
from twimager.report.page import SCRIPTS, TEMPLATE, contents
from twimager.report.reader import damaged
from twimager.report.schema import PairRecord, Side
from twimager.review.review import Review
from twimager.web.server import Answer, Refusal
from twimager.web.template import SERVED, fill

NO_IMAGE = "image/none"
NO_FRAMES = "; frame-ancestors 'none'"
# What browsers show as it is, by how it begins. Whatever else can be read is sent as PNG.
SHOWN = {PNG_SIGNATURE: "image/png", b"\xff\xd8\xff": "image/jpeg"}
# So many pictures are converted at a time: each takes some memory, and a browser asks for six at once.
CONVERTED = 2


class Image(NamedTuple):
    """An image that may be served, as long as it is in `root`, wherever links lead; `moves` if the review moves it."""

    path: Path
    root: Path
    moves: bool


class ReviewSite:
    """What is served of a review: its page, the images that this shows, and what is decided.

    Images have numbers, given when the review begins: no request holds a path. So have pairs, which they keep.
    """

    def __init__(self, review: Review) -> None:
        """Give everything its number. UsageError is raised if the report does not say what a page of it shows."""
        self._review = review
        self._lock = threading.Lock()
        self._converting = threading.Semaphore(CONVERTED)
        self._over = False
        self._pairs = _listed(review)
        self._shelf = _Shelf(review)
        try:
            shown = contents(msgspec.structs.replace(review.document, pairs=self._pairs), self._shelf)
        except ValueError as error:
            raise damaged(review.report) from error
        self._contents = {**shown, "served": True}
        self._deeds = {"accept": self._accept, "delete": self._delete, "undo": self._undo, "done": self._end}

    def get(self, path: str) -> Answer:
        """Answer with the page, what was decided, or an image."""
        if path == "":
            with self._lock:
                shown = {**self._contents, "decisions": self._decisions()}
            page = fill(TEMPLATE, SCRIPTS, shown, SERVED)
            return Answer(page.html, "text/html; charset=utf-8", policy=page.policy + NO_FRAMES)
        if path == "decisions":
            with self._lock:
                return _json(self._decisions())
        if path in self._shelf.images:
            return self._image(path)
        raise Refusal(HTTPStatus.NOT_FOUND, "there is no such page")

    def post(self, path: str, body: bytes) -> Answer:
        """Decide something; answer with all that was decided."""
        deed = self._deeds.get(path)
        if deed is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is nothing of that kind to do")
        wish = _parsed(body)
        with self._lock:
            if self._over:
                raise Refusal(HTTPStatus.GONE, "the review has ended")
            try:
                return deed(wish)
            except TwimagerError as error:
                raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from error

    def end(self) -> str:
        """Take no more decisions; say what was decided."""
        with self._lock:
            self._over = True
            decisions = self._decisions()
        accepted, deleted = len(decisions["accepted"]), len(decisions["deleted"])
        left = len(self._pairs) - accepted - deleted
        return f"pairs accepted: {accepted}, deleted: {deleted}, undecided: {left}"

    def _decisions(self) -> dict[str, list[int]]:
        """Return which pairs are accepted, and which deleted, in that order."""
        numbers = {id(pair): number for number, pair in enumerate(self._pairs)}
        return {
            "accepted": [numbers[id(pair)] for pair in self._review.pairs if pair.accepted],
            "deleted": [numbers[id(deletion.pair)] for deletion in self._review.deletions],
        }

    def _accept(self, wish: Mapping[str, Any]) -> Answer:
        accepted = wish.get("accepted")
        if not isinstance(accepted, bool):
            raise Refusal(HTTPStatus.BAD_REQUEST, "accepted or not?")
        self._review.accept(self._left(wish), accepted)
        return _json(self._decisions())

    def _delete(self, wish: Mapping[str, Any]) -> Answer:
        self._review.delete(self._left(wish))
        return _json(self._decisions())

    def _undo(self, wish: Mapping[str, Any]) -> Answer:
        """Undo the last deletion, if that is the one that is meant: another page may have deleted more since."""
        pair = self._pair(wish)
        if not self._review.deletions or self._review.deletions[-1].pair is not pair:
            raise Refusal(HTTPStatus.CONFLICT, "that is not the pair that was deleted last")
        self._review.undo()
        return _json(self._decisions())

    def _end(self, wish: Mapping[str, Any]) -> Answer:
        self._over = True
        return _json(self._decisions(), last=True)

    def _pair(self, wish: Mapping[str, Any]) -> PairRecord:
        number = wish.get("pair")
        if type(number) is not int or not 0 <= number < len(self._pairs):
            raise Refusal(HTTPStatus.BAD_REQUEST, "there is no such pair")
        return self._pairs[number]

    def _left(self, wish: Mapping[str, Any]) -> PairRecord:
        """Return the pair that is meant, if it was not deleted."""
        pair = self._pair(wish)
        if any(deletion.pair is pair for deletion in self._review.deletions):
            raise Refusal(HTTPStatus.CONFLICT, "that pair was deleted meanwhile")
        return pair

    def _image(self, link: str) -> Answer:
        image = self._shelf.images[link]
        with self._lock:  # a file that is open can't be moved on Windows
            data = _read(image._replace(path=self._review.whereabouts(image.path))) if image.moves else None
        data = _read(image) if data is None else data
        kind = _kind(data)
        if kind:
            return Answer(data, kind)
        with self._converting:
            try:
                with decoded_data(data) as pixels:
                    return Answer(encode(to_8_bit(pixels), Format.PNG), "image/png")
            except UnreadableImage as error:
                raise Refusal(HTTPStatus.NOT_FOUND, f"the image can't be read: {error}") from error


class _Shelf:
    """The images that a page shows; a link to one is its number.

    Outputs are DEST's own, which the review has made sure of. Sources are served from the folders that LRs and HRs
    were in, as far as the report has them apart from DEST, as it was for the run.
    """

    def __init__(self, review: Review) -> None:
        self._review = review
        settings = review.document.used_settings
        folders = {"lr": Path(os.path.realpath(settings.lr)), "hr": Path(os.path.realpath(settings.hr))}
        self._folders = {side: path for side, path in folders.items() if not review.home.is_relative_to(path)}
        self._links: dict[Image, str] = {}
        self.images: dict[str, Image] = {}

    def output(self, pair: PairRecord, side: Side) -> str:
        """Return the link to a pair's output."""
        path = self._review.outputs(pair)[list(pair.outputs).index(side)]
        return self._link(Image(path, self._review.home, moves=True))

    def source(self, path: str, side: Side) -> str:
        """Return the link to an image as it was found."""
        folder = self._folders.get(side)
        return self._link(Image(Path(path), folder, moves=False)) if folder else NO_IMAGE

    def _link(self, image: Image) -> str:
        link = self._links.setdefault(image, f"image/{len(self._links)}")
        self.images[link] = image
        return link


def _listed(review: Review) -> list[PairRecord]:
    """Return all pairs, those that were deleted, and may be put back, in their places."""
    pairs = list(review.pairs)
    for deletion in reversed(review.deletions):
        pairs.insert(deletion.place, deletion.pair)
    return pairs


def _read(image: Image) -> bytes:
    """Return what an image's file holds; Refusal unless it is one, in the folder where it is to be."""
    try:
        path = image.path.resolve(strict=True)
        if path.is_relative_to(image.root) and path.is_file():
            return read_bytes(path)
    except (OSError, RuntimeError, ValueError):  # gone, a ring of links, no name at all
        pass
    except UnreadableImage as error:
        raise Refusal(HTTPStatus.NOT_FOUND, f"the image can't be read: {error}") from error
    raise Refusal(HTTPStatus.NOT_FOUND, "the image is not there")


def _kind(data: bytes) -> str | None:
    """Return the content type of what browsers show as it is."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for beginning, kind in SHOWN.items() if data.startswith(beginning)), None)


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        wish = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "that is no JSON") from error
    if not isinstance(wish, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, "that is no JSON object")
    return wish


def _json(value: Mapping[str, Any], last: bool = False) -> Answer:
    return Answer(json.dumps(value).encode(), last=last)
