"""What the package index and the repository's host show goes with what is here."""

import re
from pathlib import Path

from twimager import __version__

ROOT = Path(__file__).resolve().parent.parent
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_newest_release_in_the_changelog_is_this_version() -> None:
    assert re.findall(r"^## \[(.+?)\]", CHANGELOG, flags=re.M)[:2] == ["Unreleased", __version__]


def test_every_heading_of_the_changelog_has_an_address() -> None:
    headings = re.findall(r"^## \[(.+?)\]", CHANGELOG, flags=re.M)
    assert re.findall(r"^\[([\w.]+)\]: https://", CHANGELOG, flags=re.M) == headings
