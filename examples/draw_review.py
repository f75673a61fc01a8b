"""Draw what a browser shows of a review, one pair accepted, one deleted. Chromium must be installed.

    python -m examples.draw_review DEST/report.json PICTURE.jpg

It reviews a copy of DEST: nothing in DEST changes.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from pathlib import Path

from examples.draw_page import keep, show
from tests.support.browser import Browser
from twimager.review.review import Review
from twimager.review.site import ReviewSite
from twimager.web.server import LocalServer

# The cards that are decided, as the page counts them, and how.
DECIDED = {1: "accept", 3: "delete"}
OUTCOME = {"accept": "accepted", "delete": "deleted"}


def decide(browser: Browser) -> None:
    """Fold the histograms away, press the buttons of some cards; wait until the page says so."""
    browser.run("document.getElementById('plots').open = false")
    for card, deed in DECIDED.items():
        place = f"document.querySelector('.card:nth-child({card})')"
        browser.run(f"{place}.querySelector('[data-decide={deed}]').click()")
        browser.wait(f"{place}.dataset.verdict === '{OUTCOME[deed]}'")


def draw(report: Path, profile: Path, shot: Path) -> None:
    """Serve a review, decide, and keep what is seen."""
    with Review(report) as review, LocalServer(ReviewSite(review)) as server, Browser(profile) as browser:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            show(browser, server.address)
            decide(browser)
            browser.screenshot(shot)
        finally:
            server.shutdown()
            thread.join()


def main(report: str, picture: str) -> None:
    """Draw the review."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy = Path(shutil.copytree(Path(report).parent, Path(folder) / Path(report).parent.name))
        shot = Path(folder) / "shot.png"
        draw(copy / Path(report).name, Path(folder) / "profile", shot)
        keep(shot, picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
