"""A review in a browser: the site that serves the report's page, and accepts and deletes its pairs."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from twimager.errors import TwimagerError, UnreadableImage
from twimager.image.browser import as_shown
from twimager.image.decode import decoded_data
from twimager.report.page import SCRIPTS, TEMPLATE, contents, kept_thumbnails
from twimager.report.reader import damaged
from twimager.report.schema import PairRecord
from twimager.report.thumbnails import thumbnail
from twimager.review.images import ServedImages, read_image
from twimager.review.review import Review
from twimager.runtime.console import printable
from twimager.web.site import Refusal, Response
from twimager.web.template import SERVED, fill

NO_FRAMES = "; frame-ancestors 'none'"
# The link of a thumbnail is that of its image, with this in place of the other. They are made as they are requested.
IMAGE, THUMBNAIL = "image/", "thumbnail/"
# The length of a request without the numbers of its pairs, and of one such number.
PLAIN_BYTES, NUMBER_BYTES = 1024, 12
# So many pictures are converted at a time: each takes some memory, and a browser requests six at once.
CONVERTED = 2


class ReviewSite:
    """Serves a review: its page, the images of the page, and the decisions.

    Attributes
    ----------
    most_bytes : the length of the longest request

    Images and pairs have the numbers that they were given at the beginning: no request holds a path.
    """

    def __init__(self, review: Review) -> None:
        """Give pairs and images their numbers. UsageError is raised if the report lacks what its page shows."""
        self._review = review
        self._lock = threading.Lock()
        self._converting = threading.Semaphore(CONVERTED)
        self._ended = False
        self._pairs = _all_pairs(review)
        self._images = ServedImages(review)
        try:
            shown = contents(msgspec.structs.replace(review.document, pairs=self._pairs), self._images)
        except ValueError as error:
            raise damaged(review.report) from error
        shown["run"]["folders"]["dest"] = printable(str(review.home))  # it may have been moved
        images = {link: image.path for link, image in self._images.by_link.items()}
        kept = kept_thumbnails(review.document, review.home, images)
        self._contents = {**shown, "served": True, "thumbnails": kept}
        self.most_bytes = PLAIN_BYTES + NUMBER_BYTES * len(self._pairs)
        self._actions = {"accept": self._accept, "delete": self._delete, "undo": self._undo, "done": self._end}

    def get(self, path: str) -> Response:
        """Respond with the page, the decisions, or an image."""
        if path == "":
            with self._lock:
                shown = {**self._contents, "decisions": self._decisions()}
            page = fill(TEMPLATE, SCRIPTS, shown, SERVED)
            return Response(page.html, "text/html; charset=utf-8", policy=page.policy + NO_FRAMES)
        if path == "decisions":
            with self._lock:
                return _json(self._decisions())
        if path in self._images.by_link:
            return self._image(path)
        link = IMAGE + path.removeprefix(THUMBNAIL)
        if path.startswith(THUMBNAIL) and link in self._images.by_link:
            return self._thumbnail(link)
        raise Refusal(HTTPStatus.NOT_FOUND, "there is no such page")

    def post(self, path: str, body: bytes) -> Response:
        """Act on a decision; respond with all decisions."""
        action = self._actions.get(path)
        if action is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is nothing of that kind to do")
        request = _parsed(body)
        with self._lock:
            if self._ended:
                raise Refusal(HTTPStatus.GONE, "the review has ended")
            try:
                return action(request)
            except TwimagerError as error:
                raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from error

    def end(self) -> str:
        """Take no more decisions; return a line that counts them."""
        with self._lock:
            self._ended = True
            return self._review.tally

    def _decisions(self) -> dict[str, list[int]]:
        """Return the numbers of the pairs that are accepted, and of those that are deleted, the last one last."""
        numbers = {id(pair): number for number, pair in enumerate(self._pairs)}
        return {
            "accepted": [numbers[id(pair)] for pair in self._review.pairs if pair.accepted],
            "deleted": [numbers[id(deletion.pair)] for deletion in self._review.deletions],
        }

    def _accept(self, request: Mapping[str, Any]) -> Response:
        accepted = request.get("accepted")
        if not isinstance(accepted, bool):
            raise Refusal(HTTPStatus.BAD_REQUEST, "accepted or not?")
        numbers = request.get("pairs", [request.get("pair")])
        if not isinstance(numbers, list):
            raise Refusal(HTTPStatus.BAD_REQUEST, "which pairs?")
        self._review.accept_all([self._undeleted({"pair": number}) for number in numbers], accepted)
        return _json(self._decisions())

    def _delete(self, request: Mapping[str, Any]) -> Response:
        self._review.delete(self._undeleted(request))
        return _json(self._decisions())

    def _undo(self, request: Mapping[str, Any]) -> Response:
        """Undo the last deletion, if it is that of the pair: another page may have deleted more since."""
        pair = self._pair(request)
        if not self._review.deletions or self._review.deletions[-1].pair is not pair:
            raise Refusal(HTTPStatus.CONFLICT, "that is not the pair that was deleted last")
        self._review.undo()
        return _json(self._decisions())

    def _end(self, request: Mapping[str, Any]) -> Response:
        self._ended = True
        return _json(self._decisions(), last=True)

    def _pair(self, request: Mapping[str, Any]) -> PairRecord:
        number = request.get("pair")
        if type(number) is not int or not 0 <= number < len(self._pairs):
            raise Refusal(HTTPStatus.BAD_REQUEST, "there is no such pair")
        return self._pairs[number]

    def _undeleted(self, request: Mapping[str, Any]) -> PairRecord:
        """Return the pair of a request, if it was not deleted."""
        pair = self._pair(request)
        if any(deletion.pair is pair for deletion in self._review.deletions):
            raise Refusal(HTTPStatus.CONFLICT, "that pair was deleted meanwhile")
        return pair

    def _thumbnail(self, link: str) -> Response:
        data = self._file(link)
        with self._converting:
            try:
                with decoded_data(data) as (pixels, _, _):
                    return Response(thumbnail(pixels), "image/jpeg")
            except UnreadableImage as error:
                raise Refusal(HTTPStatus.NOT_FOUND, f"the image can't be read: {error}") from error

    def _file(self, link: str) -> bytes:
        image = self._images.by_link[link]
        if not image.moves:
            return read_image(image)
        with self._lock:  # a file that is open can't be moved on Windows
            return read_image(image._replace(path=self._review.current_path(image.path)))

    def _image(self, link: str) -> Response:
        data = self._file(link)
        with self._converting:
            try:
                return Response(*as_shown(data))
            except UnreadableImage as error:
                raise Refusal(HTTPStatus.NOT_FOUND, f"the image can't be read: {error}") from error


def _all_pairs(review: Review) -> list[PairRecord]:
    """Return all pairs, also those that were deleted and can be restored, in the order of the report."""
    pairs = list(review.pairs)
    for deletion in reversed(review.deletions):
        pairs.insert(deletion.place, deletion.pair)
    return pairs


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "that is no JSON") from error
    if not isinstance(request, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, "that is no JSON object")
    return request


def _json(value: Mapping[str, Any], last: bool = False) -> Response:
    return Response(json.dumps(value).encode(), last=last)
