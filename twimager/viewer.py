"""Show a pair in an OpenCV window and ask what to do with it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.console import printable
from twimager.errors import UsageError
from twimager.images import Pixels, frame_size, shrink, to_8_bit

WINDOW = "Twimager - esc: abort, n or del: skip, any other key: accept"
# What waitKeyEx returns for `del`: X11, Windows, macOS (and its backspace key, on which `delete` is printed).
DELETE_KEYS = {0xFFFF, 0x2E0000, 0xF728, 127}
ESCAPE = 27
# A pair is shown at its own size, or smaller where three pictures would not fit on a common screen.
MAX_PANEL = (600, 800)
POLL_MS = 50
LABEL_HEIGHT = 28


class Answer(Enum):
    """What the user said to a pair."""

    ACCEPT = "accept"
    SKIP = "skip"
    ABORT = "abort"


def require_display() -> None:
    """Raise UsageError if no window can be opened: no display, or an OpenCV built without windows.

    The attempt is made in another process, as a toolkit that finds no display ends the process that asked.
    """
    attempt = "import cv2; cv2.namedWindow('x'); cv2.waitKey(1); cv2.destroyAllWindows()"
    if subprocess.run([sys.executable, "-c", attempt], capture_output=True, check=False).returncode:
        raise UsageError("--debug needs a display and an OpenCV with windows (opencv-python, not -headless)")


def ask(lr: Pixels, hr: Pixels, title: str) -> Answer:
    """Show HR | LR | blend and wait for a key: esc (or closing the window) aborts, n or del skips, others accept."""
    cv2.namedWindow(WINDOW, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
    cv2.imshow(WINDOW, panels(lr, hr, title))
    while True:
        key = cv2.waitKeyEx(POLL_MS)
        if key != -1:
            return _answer(key)
        if not _is_open():
            return Answer.ABORT


def close() -> None:
    """Close the window, if there is one."""
    with suppress(cv2.error):
        cv2.destroyAllWindows()
        cv2.waitKey(1)


def _is_open() -> bool:
    try:
        return bool(cv2.getWindowProperty(WINDOW, cv2.WND_PROP_VISIBLE) >= 1)
    except cv2.error:  # Qt's answer once the last window is closed
        return False


def _answer(key: int) -> Answer:
    if key == ESCAPE:
        return Answer.ABORT
    return Answer.SKIP if key in DELETE_KEYS or key in (ord("n"), ord("N")) else Answer.ACCEPT


def panels(lr: Pixels, hr: Pixels, title: str) -> NDArray[np.uint8]:
    """Return HR, LR and their blend side by side, labelled, under a title: (h, w, 3) uint8."""
    width, height = frame_size(hr)
    fit = min(1.0, MAX_PANEL[0] / width, MAX_PANEL[1] / height)
    size = (max(1, round(width * fit)), max(1, round(height * fit)))
    sharp = shrink(to_8_bit(hr), size)
    soft = cv2.resize(to_8_bit(lr), size, interpolation=cv2.INTER_CUBIC)
    pictures = {"HR": sharp, "LR": soft, "blend": cv2.addWeighted(sharp, 0.5, soft, 0.5, 0)}
    row = np.hstack([_labelled(picture, name) for name, picture in pictures.items()])
    return np.vstack([_line(title, row.shape[1]), row])


def _labelled(picture: Pixels, name: str) -> Pixels:
    return np.vstack([_line(name, picture.shape[1]), picture])


def _line(text: str, width: int) -> NDArray[np.uint8]:
    """Return a line of text on black, (LABEL_HEIGHT, width, 3); what OpenCV's font lacks shows as `?`."""
    line = np.zeros((LABEL_HEIGHT, width, 3), np.uint8)
    cv2.putText(line, printable(text), (6, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (235, 235, 235), 1, cv2.LINE_AA)
    return line
