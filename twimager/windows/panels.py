"""Draw pairs for the screen: pictures side by side with labels, under lines of text."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Points, Size, resize_matrix, transform_points, translation
from twimager.image.pixels import Pixels, frame_size, shrink, to_8_bit
from twimager.runtime.console import printable

# Three pictures of this width, under their text, fit on the screen of a laptop.
MAX_PANEL = (500, 680)
# Smaller ones are enlarged by a whole number, so that there is something to see, and room for their text.
MIN_WIDTH = 300
# No picture is drawn larger, whatever --scale is: a window's memory is the toolkit's.
MAX_SIDE = 4000
LINE_HEIGHT, MARGIN = 24, 8
FONT, FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5
BRIGHT, DIM = (235, 235, 235), (160, 160, 160)
INTERPOLATIONS = {"cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4, "area": cv2.INTER_AREA}
# Share of a row's width that either picture may have where matches are drawn; their lines cross what is between.
BESIDE = 0.4
# OpenCV's hues of 8-bit images, two degrees each; neighbours at this step are far apart, however many there are.
HUES, GOLDEN_ANGLE = 180, 69


class Display(NamedTuple):
    """How pictures are shown.

    Attributes
    ----------
    scale : pixels on the screen per pixel of the HR, along a side; None for what fits
    interpolation : how the LR is enlarged, a name of INTERPOLATIONS
    room : (width, height) for each picture that is to fit
    """

    scale: float | None = None
    interpolation: str = "cubic"
    room: Size = MAX_PANEL


FITTING = Display()
# So many times as strong a difference is shown, as on the page.
STRONGER = 4
# Hatching: every so many pixels a line of this width; what is between is tinted by this share.
HATCH_STEP, HATCH_LINE, HATCH_TINT = 8, 2, 0.25
HATCH_COLOR = (24, 32, 240)


def drawn_pair(
    lr: Pixels | None,
    hr: Pixels | None,
    display: Display = FITTING,
    *,
    swapped: bool = False,
    difference: bool = False,
    differs: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Return LR, HR and their blend side by side, labelled, or the one that there is: (h, w, 3) uint8.

    Parameters
    ----------
    lr, hr : (h, w, 3), uint8 or uint16; None for one that was not written
    swapped : whether the HR stands in the LR's place too
    difference : whether their difference stands in the blend's place
    differs : (h, w), on any grid, what is hatched of both; None: nothing
    """
    given = lr if hr is None else hr
    assert given is not None
    size = shown_size(frame_size(given), display)
    sharp = None if hr is None else _resized(to_8_bit(hr), size, cv2.INTER_NEAREST)
    soft = None if lr is None else _resized(to_8_bit(lr), size, INTERPOLATIONS[display.interpolation])
    mixed = None if sharp is None or soft is None else _difference(sharp, soft) if difference else _blend(sharp, soft)
    sharp, soft = (one if one is None or differs is None else hatched(one, differs) for one in (sharp, soft))
    if mixed is None or sharp is None or soft is None:
        label, only = ("LR", soft) if sharp is None else ("HR", sharp)
        assert only is not None
        return labelled(only, label)
    first = labelled(sharp, "HR over LR") if swapped else labelled(soft, "LR")
    name = f"difference x {STRONGER}" if difference else "blend"
    return np.hstack([first, labelled(sharp, "HR"), labelled(mixed, name)])


def _blend(hr: Pixels, lr: Pixels) -> Pixels:
    return np.asarray(cv2.addWeighted(hr, 0.5, lr, 0.5, 0))


def _difference(hr: Pixels, lr: Pixels) -> Pixels:
    return np.asarray(cv2.convertScaleAbs(cv2.absdiff(hr, lr), alpha=STRONGER))


def shown_size(size: Size, display: Display) -> Size:
    """Return the size (width, height) at which a picture is shown: what fits, or a multiple of its own."""
    width, height = size
    scale = display.scale
    if scale is None:
        scale = min(1.0, display.room[0] / width, display.room[1] / height)
        larger = min(-(-MIN_WIDTH // width), display.room[0] // width, display.room[1] // height)
        scale = max(scale, larger)
    scale = min(scale, MAX_SIDE / max(size))
    return max(1, round(width * scale)), max(1, round(height * scale))


def hatched(picture: Pixels, differs: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a picture, (h, w, 3) uint8, of which what differs, (h, w) on any grid, is hatched."""
    height, width = picture.shape[:2]
    inside = cv2.resize(differs.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    y, x = np.indices((height, width), sparse=True)
    opacity = np.where((x + y) % HATCH_STEP < HATCH_LINE, 1.0, HATCH_TINT) * inside
    return np.asarray(picture + opacity[..., None] * (np.array(HATCH_COLOR) - picture.astype(float)), np.uint8)


def _resized(pixels: Pixels, size: Size, enlarging: int) -> Pixels:
    if frame_size(pixels) == size:
        return pixels
    if size[0] < pixels.shape[1]:
        return shrink(pixels, size)
    return np.asarray(cv2.resize(pixels, size, interpolation=enlarging))


def labelled(picture: Pixels, name: str) -> NDArray[np.uint8]:
    """Return a picture, (h, w, 3), with its name above it."""
    return np.vstack([text(name, picture.shape[1]), picture])


def stacked(*rows: Pixels) -> NDArray[np.uint8]:
    """Return rows, (h, w, 3) each, one under the other, the narrower ones with black beside them."""
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])


def text(words: str, width: int, color: tuple[int, int, int] = BRIGHT) -> NDArray[np.uint8]:
    """Return text on black, (h, width, 3), of as many lines as it takes; what OpenCV's font lacks shows as `?`."""
    lines = wrapped(printable(words), width - 2 * MARGIN)
    drawn = np.zeros((LINE_HEIGHT * len(lines), width, 3), np.uint8)
    for number, line in enumerate(lines):
        at = (MARGIN, LINE_HEIGHT * (number + 1) - LINE_HEIGHT // 3)
        cv2.putText(drawn, line, at, FONT, FONT_SCALE, color, 1, cv2.LINE_AA)
    return drawn


def wrapped(words: str, width: int) -> list[str]:
    """Return text as lines of no more than `width` pixels, broken between words where that is possible."""
    lines = [""]
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if _width(longer) <= width:
            lines[-1] = longer
            continue
        lines[-1:] = [*filter(None, lines[-1:]), *_pieces(word, width)]
    return lines


def _pieces(word: str, width: int) -> list[str]:
    """Return a word, such as a file's name, in pieces that fit."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and _width(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _width(line: str) -> int:
    return int(cv2.getTextSize(line, FONT, FONT_SCALE, 1)[0][0])


def drawn_matches(hr: Pixels, lr: Pixels, hr_points: Points, lr_points: Points, room: Size) -> NDArray[np.uint8]:
    """Return an HR, on the right, and an LR, as they were found, and lines between matching features: (h, w, 3) uint8.

    Parameters
    ----------
    hr, lr : (h, w, 3), uint8 or uint16
    hr_points, lr_points : (n, 2), in pixels of each
    room : (width, height) of the whole but for its labels
    """
    drawn = np.zeros((LINE_HEIGHT + room[1], room[0], 3), np.uint8)
    ends = []
    for name, pixels, points in (("HR source", hr, hr_points), ("LR source", lr, lr_points)):
        scale = min(BESIDE * room[0] / pixels.shape[1], room[1] / pixels.shape[0])
        width, height = size = shown_size(frame_size(pixels), Display(scale))
        left = room[0] - width if pixels is hr else 0
        shown = np.vstack([text(name, width)[:LINE_HEIGHT], _resized(to_8_bit(pixels), size, cv2.INTER_CUBIC)])
        drawn[: LINE_HEIGHT + height, left : left + width] = shown
        to_drawn = translation(left, LINE_HEIGHT) @ resize_matrix(frame_size(pixels), size)
        ends.append(np.rint(transform_points(to_drawn, points)).astype(int).tolist())
    for number, (start, end) in enumerate(zip(*ends, strict=True)):
        _draw_match(drawn, start, end, number)
    return drawn


def _draw_match(drawn: NDArray[np.uint8], start: list[int], end: list[int], number: int) -> None:
    """Draw a line in a colour that those of the numbers next to it do not have."""
    hue = np.array([[[number * GOLDEN_ANGLE % HUES, 200, 255]]], np.uint8)
    color = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    cv2.line(drawn, start, end, color, 1, cv2.LINE_AA)
    for point in (start, end):
        cv2.circle(drawn, point, 3, color, 1, cv2.LINE_AA)
