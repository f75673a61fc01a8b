"""Draw what a browser shows of a run's page, as the README and docs/ have it. Chromium must be installed.

    python -m examples.draw_page DEST/report.html PICTURE.jpg [#ELEMENT | #rejected-N | #pair-N]

Without the last argument it is the top of the page, with `#histograms` that element alone, with `#rejected-1` the image
that came closest to a pair, with `#pair-2` the second pair, both large.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import cv2

from tests.support.browser import Browser

# GitHub shows pictures 830 pixels wide; drawn half as large again, they are sharp on dense screens too.
WIDTH, HEIGHT, DENSITY = 900, 640, 1.5
QUALITY = 64
# Thumbnails are decoded after the page is there.
SETTLING = 1.0


def show(browser: Browser, url: str) -> None:
    """Show a page as large as pictures of it are."""
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=DENSITY, mobile=False
    )
    browser.call("Emulation.setScrollbarsHidden", hidden=True)
    browser.show(url)
    time.sleep(SETTLING)


def draw(browser: Browser, page: Path, what: str, picture: Path) -> None:
    """Show the page, or one pair of it, and keep what is seen."""
    large = what.startswith(("#pair-", "#rejected-"))
    show(browser, page.absolute().as_uri() + what * large)
    browser.screenshot(picture)
    if what and not large:
        cut(browser, what, picture)


def cut(browser: Browser, element: str, picture: Path) -> None:
    """Cut a picture down to what it shows of an element."""
    box = f"document.querySelector('{element}').getBoundingClientRect()"
    left, top, right, bottom = browser.run(f"(b => [b.left, b.top, b.right, b.bottom])({box})")
    pixels = cv2.imread(str(picture))
    x0, y0, x1, y1 = (round(edge * DENSITY) for edge in (left, top, right, bottom))
    cv2.imwrite(str(picture), pixels[y0:y1, x0:x1])


def keep(shot: Path, picture: str) -> None:
    """Write what was seen as PNG or, smaller, as JPEG."""
    as_jpeg = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if picture.endswith(".jpg") else []
    cv2.imwrite(picture, cv2.imread(str(shot)), as_jpeg)


def main(page: str, picture: str, what: str = "") -> None:
    """Draw the page."""
    with tempfile.TemporaryDirectory() as profile, Browser(Path(profile)) as browser:
        shot = Path(profile) / "shot.png"
        draw(browser, Path(page), what, shot)
        keep(shot, picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
