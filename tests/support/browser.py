"""Chromium for tests: headless, spoken to through a pipe in its DevTools protocol, no package needed."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Chromium reads what it is told from descriptor 3 and answers to 4.
LAUNCHER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
PATIENCE = 60.0
KEYS = {
    "ArrowDown": 40, "Backspace": 8, "Enter": 13, "Escape": 27, " ": 32, "PageDown": 34, "ArrowLeft": 37, "ArrowUp": 38,
    "ArrowRight": 39, "Delete": 46,
}  # fmt: skip


class Browser:
    """One page in a browser of its own; `events` is what the page has done since."""

    def __init__(self, profile: Path, width: int = 1280, height: int = 800) -> None:
        assert PROGRAM
        reading, self._told = os.pipe()
        self._heard, writing = os.pipe()
        pipes = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (reading, writing)]
        os.close(reading)
        os.close(writing)
        flags = "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, *map(str, pipes), PROGRAM, *flags, f"--user-data-dir={profile}"],
            pass_fds=pipes, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for fd in pipes:
            os.close(fd)
        self._number, self._rest, self._session = 0, b"", ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def call(self, method: str, **params: Any) -> Any:
        """Have the browser do something; return the result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._told, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._heard], [], [], max(0, until - time.monotonic()))
            data = os.read(self._heard, 1 << 20) if ready else b""
            if not data:
                raise TimeoutError("the browser says nothing")
            self._rest += data
        answer, self._rest = self._rest.split(b"\0", 1)
        event: dict[str, Any] = json.loads(answer)
        return event

    def resize(self, width: int, height: int, phone: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def dark(self, dark: bool = True) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def show(self, url: str) -> None:
        """Open a page and wait for all of it."""
        self.call("Page.navigate", url=url)
        self.wait(f"document.readyState === 'complete' && location.href === {json.dumps(url)}")

    def run(self, script: str) -> Any:
        """Return what a piece of JavaScript comes to."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        until = time.monotonic() + PATIENCE
        while not self.run(condition):
            assert time.monotonic() < until, condition
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """Press and release a key."""
        code = KEYS.get(key, ord(key[0].upper()))
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        known = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **known, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    def middle(self, selector: str) -> tuple[float, float]:
        """Return where an element is, once that is painted: a click goes to what is seen there."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        painted = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        x, y = self.run(f"{painted}.then(() => (b => [b.left + b.width / 2, b.top + b.height / 2])({box}))")
        return x, y

    def drag(self, *points: tuple[float, float]) -> None:
        """Press the mouse at the first point, release it at the last; a single point is a click."""
        moves = [("mouseMoved", point) for point in points[1:]]
        for kind, (x, y) in [("mousePressed", points[0]), *moves, ("mouseReleased", points[-1])]:
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def click(self, selector: str) -> None:
        self.drag(self.middle(selector))

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    @property
    def requests(self) -> list[str]:
        return [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]

    @property
    def complaints(self) -> list[Any]:
        """What was logged on the console, and what went wrong."""
        return [
            event["params"]
            for event in self.events
            if event["method"] in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        ]

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._session = ""
        self._process.terminate()
        self._process.wait(PATIENCE)
        os.close(self._told)
        os.close(self._heard)


def choose(browser: Browser, name: str, label: str) -> None:
    found = f"[...document.getElementById('{name}').options].find(o => o.text.startsWith({json.dumps(label)})).value"
    browser.run(
        f"document.getElementById('{name}').value = {found};"
        f"document.getElementById('{name}').dispatchEvent(new Event('input'))"
    )
