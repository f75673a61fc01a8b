"""A review in a window: which pair is shown, how, and what the keys do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twimager.errors import UnreadableImage
from twimager.geometry import Rect, Size
from twimager.image.decode import decoded
from twimager.image.pixels import Pixels
from twimager.output.atomic import UnwritableName
from twimager.report.reader import caption
from twimager.report.schema import PairRecord
from twimager.review.review import Review
from twimager.runtime.console import counted, printable
from twimager.verify.agreement import Label
from twimager.windows import viewer
from twimager.windows.keys import DELETE, DOWN, END, ESCAPE, HOME, LEFT, PAGE_DOWN, PAGE_UP, RIGHT, SPACE, UP
from twimager.windows.panels import DIM, LINE_HEIGHT, Display, drawn_pair, stacked, text

TITLE = "Twimager - arrows: move, a: accept, x: delete, u: undo, b: blink, o: order, esc: end"
# By how many pairs a key moves.
STEPS = {LEFT: -1, UP: -1, RIGHT: 1, DOWN: 1, PAGE_UP: -10, PAGE_DOWN: 10}
# Seconds for which the HR, and then the LR, is shown: slow enough to look, fast enough to see what jumps.
BLINK = 0.4
HELP = (
    "Move: arrows, page up/down, home, end. Accept: a, all up to here: t. Delete: x, del. Undo: u. Blink: b, space by "
    "hand. Difference: d. Order: o. Hatch: h. End: esc, q."
)
# Names and numbers take so many lines at least: then the pictures stay where they are from pair to pair.
LEAST_LINES = 3


class _Pictures(NamedTuple):
    """The pixels of a pair's outputs, (h, w, 3) each; None for a side that was not written."""

    lr: Pixels | None = None
    hr: Pixels | None = None


class Session:
    """The state of a review in a window. `warn` is called with pairs that are passed over."""

    def __init__(self, review: Review, display: Display, warn: Callable[[str], None]) -> None:
        self._review, self._display, self._warn = review, display, warn
        self._worst_first = self._blinking = self._swapped = self._difference = False
        self._hatching = True
        self._group: list[PairRecord] = []
        self._since = 0.0
        self._passed_over = {id(pair) for pair in review.pairs if not all(p.is_file() for p in review.outputs(pair))}
        if self._passed_over:
            pairs = counted(len(review.pairs), "pair")
            warn(f"passed over, as files of theirs are missing: {len(self._passed_over)} of {pairs}")
        self._pairs: list[PairRecord] = self._in_order()
        self._pictures = _Pictures()
        self._index = 0
        self._show(0)

    @property
    def _actions(self) -> dict[str, Callable[[], None]]:
        """What the keys do that neither move nor end; `s` is an older name of `o`."""
        deleting, ordering = dict.fromkeys((DELETE, "x"), self._delete), dict.fromkeys("os", self._reorder)
        deciding = {"a": self._accept, "t": self._accept_to_here, "u": self._undo}
        looking = {"b": self._blink, SPACE: self._swap, "d": self._differ, "h": self._hatch}
        return {**deleting, **ordering, **deciding, **looking}

    @property
    def pair(self) -> PairRecord | None:
        """The pair that is shown; None if there is none left."""
        return self._pairs[self._index] if self._pairs else None

    def press(self, key: str) -> bool:
        """Do what a key is for; return whether the review goes on."""
        if key in (ESCAPE, "q"):
            return False
        if key in STEPS:
            self._show(self._index + STEPS[key], forward=STEPS[key] > 0)
        elif key == HOME:
            self._show(0)
        elif key == END:
            self._show(len(self._pairs), forward=False)
        elif key in self._actions:
            self._actions[key]()
        return bool(self._pairs)

    def blink(self) -> bool:
        """Tell whether it is time to show the other picture, if the pictures blink."""
        if not self._blinking or time.monotonic() - self._since < BLINK:
            return False
        self._swapped, self._since = not self._swapped, time.monotonic()
        return True

    def picture(self, room: Size | None = None) -> NDArray[np.uint8]:
        """Draw the pair that is shown, (h, w, 3) uint8; of `room`, (width, height), where that is given."""
        assert self.pair
        differs = _differs(self.pair) if self._hatching else None
        names = dict.fromkeys(path.name for path in self._review.shown(self.pair).values())
        where = f"{self._index + 1} / {len(self._pairs)}:"
        order = ["(worst residual first)"] * self._worst_first
        width, height = room or viewer.FIRST_ROOM
        words = stacked(
            text(" ".join([where, *names, *order]), width),
            text(f"{caption(self.pair)}. {self._review.tally}", width, DIM),
        )
        words = np.pad(words, ((0, max(0, LEAST_LINES * LINE_HEIGHT - len(words))), (0, 0), (0, 0)))
        keys = text(HELP, width, DIM)
        left = max(1, height - len(words) - LINE_HEIGHT - len(keys))
        display = self._display if room is None else self._display._replace(room=(width // 3, left))
        lr, hr = self._pictures
        drawn = drawn_pair(lr, hr, display, swapped=self._swapped, difference=self._difference, differs=differs)
        if room:
            drawn = np.pad(drawn, ((0, max(0, left + LINE_HEIGHT - len(drawn))), (0, 0), (0, 0)))
        return stacked(words, drawn, keys)

    def _in_order(self) -> list[PairRecord]:
        pairs = [pair for pair in self._review.pairs if id(pair) not in self._passed_over]
        return sorted(pairs, key=_residual, reverse=True) if self._worst_first else pairs

    def _show(self, index: int, forward: bool = True) -> None:
        """Show the pair of this index, or the next one that can be read."""
        while self._pairs:
            self._index = min(max(index, 0), len(self._pairs) - 1)
            pair = self._pairs[self._index]
            try:
                self._pictures = self._read(pair)
                return
            except UnreadableImage as error:
                self._warn(f"passed over: {printable(str(error))}")
                self._passed_over.add(id(pair))
                del self._pairs[self._index]
                index = self._index if forward else self._index - 1

    def _read(self, pair: PairRecord) -> _Pictures:
        files = self._review.shown(pair)
        return _Pictures(**{side: _read(path) for side, path in files.items() if side != "mask"})

    def _accept(self) -> None:
        """Accept the pair and go on to the next one, or not accept it after all."""
        if self.pair:
            accepted = not self.pair.accepted
            self._review.accept(self.pair, accepted)
            self._group = []
            self._show(self._index + accepted)

    def _accept_to_here(self) -> None:
        """Accept all that is undecided up to this pair, in the order shown."""
        group = [pair for pair in self._pairs[: self._index + 1] if not pair.accepted]
        if group:
            self._review.accept_all(group, True)
            self._group = group

    def _delete(self) -> None:
        if self.pair:
            self._review.delete(self.pair)
            self._group = []
            del self._pairs[self._index]
            self._show(self._index)

    def _undo(self) -> None:
        """Take back what was accepted at once, else the last deletion."""
        if self._group:
            self._review.accept_all(self._group, False)
            self._group = []
            return
        try:
            pair = self._review.undo()
        except UnwritableName as error:
            self._warn(str(error))
            return
        if pair:
            self._passed_over.discard(id(pair))
            self._pairs = self._in_order()
            self._show(next(index for index, other in enumerate(self._pairs) if other is pair))

    def _reorder(self) -> None:
        self._worst_first = not self._worst_first
        self._pairs = self._in_order()
        self._show(0)

    def _blink(self) -> None:
        self._blinking, self._swapped, self._since = not self._blinking, not self._blinking, time.monotonic()

    def _swap(self) -> None:
        self._blinking, self._swapped = False, not self._swapped

    def _differ(self) -> None:
        self._difference = not self._difference

    def _hatch(self) -> None:
        self._hatching = not self._hatching


def browse(review: Review, display: Display, warn: Callable[[str], None]) -> None:
    """Show a review's pairs in a window until it is closed, or none is left."""
    session = Session(review, display, warn)
    try:
        changed, drawn = True, None
        while session.pair:
            room = None if display.scale else viewer.room(TITLE)
            if changed or room != drawn:
                viewer.show(TITLE, session.picture(room))
                drawn = room
            key = viewer.next_key(TITLE)
            if key and not session.press(key):
                return
            changed = bool(key) or session.blink()
    finally:
        viewer.close()


def _read(path: Path) -> Pixels:
    try:
        with decoded(path, srgb=False) as pixels:
            return pixels
    except UnreadableImage as error:
        raise UnreadableImage(f"{path}: {error}") from error


def _differs(pair: PairRecord) -> NDArray[np.bool_] | None:
    """Return where the outputs of a pair differ, (h, w), as far as its map tells; None where there is none."""
    if pair.agreement is None:
        return None
    window = Rect(*pair.shown.window)
    return np.asarray(pair.agreement.map.on(window, window[2:]) == Label.DIFFER)


def _residual(pair: PairRecord) -> float:
    """Return the residual shift by which pairs are sorted; where it is unknown, they come last."""
    return -1.0 if pair.residual is None else pair.residual
