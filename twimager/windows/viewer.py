"""OpenCV's windows: show a picture, read keys, close; and in the window of --debug, read what to do with a pair."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from enum import Enum

import cv2

from twimager.errors import UsageError
from twimager.geometry import Size
from twimager.image.pixels import Pixels
from twimager.windows.keys import DELETE, ESCAPE, key_name

TITLE = "Twimager - esc: abort, n or del: skip, any other key: accept"
POLL_MS = 50
# The (width, height) that a window opens with: with its title it fits on a screen of 1280 x 720. Text is not squeezed
# into less than the other.
FIRST_ROOM, LEAST_ROOM = (1240, 640), (760, 360)


class Action(Enum):
    """What to do with a pair that --debug shows."""

    ACCEPT = "accept"
    SKIP = "skip"
    ABORT = "abort"


def require_display(what: str, hint: str = "") -> None:
    """Raise UsageError if no window can be opened for `what`: no display, or an OpenCV built without windows.

    `hint` says what else there is to do.

    The attempt is made in another process, as a toolkit that finds no display ends its process.
    """
    attempt = "import cv2; cv2.namedWindow('x'); cv2.waitKey(1); cv2.destroyAllWindows()"
    if subprocess.run([sys.executable, "-c", attempt], capture_output=True, check=False).returncode:
        raise UsageError(f"{what} needs a display and an OpenCV with windows (opencv-python, not -headless){hint}")


def show(title: str, picture: Pixels) -> None:
    """Show a picture in the window of that title, which is opened if it is not there, as large as the picture."""
    if not _is_open(title):
        cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
    cv2.imshow(title, picture)


def room(title: str) -> Size:
    """Return the size (width, height) of a window that keeps the size the user gives it; it is opened if need be."""
    if not _is_open(title):
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_FREERATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.resizeWindow(title, *FIRST_ROOM)
        return FIRST_ROOM
    width, height = cv2.getWindowImageRect(title)[2:]
    return max(width, LEAST_ROOM[0]), max(height, LEAST_ROOM[1])


def next_key(title: str) -> str:
    """Return the name of the key that is pressed within a moment, empty if none; `escape` if the window was closed."""
    code = cv2.waitKeyEx(POLL_MS)
    if code != -1:
        return key_name(code)
    return "" if _is_open(title) else ESCAPE


def close() -> None:
    """Close all windows, if there are any."""
    with suppress(cv2.error):
        cv2.destroyAllWindows()
        cv2.waitKey(1)


def read_action(picture: Pixels) -> Action:
    """Show a pair, (h, w, 3), and wait for a key: esc (or closing the window) aborts, n or del skips, others accept."""
    show(TITLE, picture)
    while not (key := next_key(TITLE)):
        pass
    if key == ESCAPE:
        return Action.ABORT
    return Action.SKIP if key in (DELETE, "n") else Action.ACCEPT


def _is_open(title: str) -> bool:
    try:
        return bool(cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1)
    except cv2.error:  # Qt's error once the last window is closed
        return False
