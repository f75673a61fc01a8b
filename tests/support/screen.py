"""A screen that nobody sees, for tests of windows: Xvfb, with keys that xdotool presses as a person would."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import ImageGrab

from tests.support.paths import ROOT

PROGRAMS = all(map(shutil.which, ("Xvfb", "xdotool")))
PATIENCE = 120.0
CLIENT_MESSAGE = 33


class ClientMessage(ctypes.Structure):
    """Xlib's event of that name, padded to the size of any event."""

    _fields_ = (
        ("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p), ("window", ctypes.c_ulong), ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int), ("data", ctypes.c_long * 24),
    )  # fmt: skip


class Screen:
    """A display of its own, 1920 x 1080."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        # Without -noreset it begins anew once its last client has gone, and who connects just then is thrown out.
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1920x1080x24", "-nolisten", "tcp", "-noreset"]
        self._server = subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL)
        os.close(writing)
        with os.fdopen(reading) as told:
            self.name = f":{told.readline().strip()}"
        self._environment = {**os.environ, "DISPLAY": self.name, "QT_QPA_PLATFORM": "xcb"}

    @contextmanager
    def started(self, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """Run the command line until its window is there; it is ended with the block, if it has not ended by then."""
        command = [sys.executable, str(ROOT / "twimager.py"), *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, env=self._environment, text=True, cwd=ROOT, **pipes) as process:
            try:
                until(lambda: self._window() or process.poll() is not None)
                self._tool("windowfocus", self._window())
                yield process
            finally:
                process.kill()

    def press(self, *keys: str) -> None:
        """Press keys one after the other, by X11's names."""
        self._tool("windowfocus", self._found())
        for key in keys:
            self._tool("key", key)
            time.sleep(0.1)

    def close_window(self) -> None:
        """Do what a click on the window's cross does."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype, x11.XInternAtom.restype = ctypes.c_void_p, ctypes.c_ulong
        display = ctypes.c_void_p(x11.XOpenDisplay(self.name.encode()))
        window, event = ctypes.c_ulong(int(self._found())), ClientMessage(CLIENT_MESSAGE)
        event.window, event.format = window, 32
        event.message_type, event.data[0] = (
            x11.XInternAtom(display, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")
        )
        x11.XSendEvent(display, window, 0, ctypes.c_long(0), ctypes.byref(event))
        x11.XCloseDisplay(display)

    def shown(self) -> NDArray[np.uint8]:
        """Return the screen, (1080, 1920, 3), BGR."""
        return np.asarray(ImageGrab.grab(xdisplay=self.name).convert("RGB"))[..., ::-1]

    def end(self) -> None:
        self._server.terminate()
        self._server.wait()

    def _found(self) -> str:
        """Return the window, which may just be changing its size."""
        until(self._window)
        return self._window() or self._found()

    def _window(self) -> str:
        return self._tool("search", "--onlyvisible", "--name", "Twimager").partition("\n")[0]

    def _tool(self, *arguments: str) -> str:
        command = ["xdotool", *filter(None, arguments)]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=10, check=False)
        return done.stdout


def until(holds: Callable[[], object]) -> None:
    """Wait for something to hold."""
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)
