"""What the package index and the repository's host show goes with what is here."""

import re
from runpy import run_path

from tests.support.paths import ROOT
from twimager.version import __version__

CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_newest_release_in_the_changelog_is_this_version() -> None:
    assert re.findall(r"^## \[(.+?)\]", CHANGELOG, flags=re.M)[:2] == ["Unreleased", __version__]


def test_every_heading_of_the_changelog_has_an_address() -> None:
    headings = re.findall(r"^## \[(.+?)\]", CHANGELOG, flags=re.M)
    assert re.findall(r"^\[([\w.]+)\]: https://", CHANGELOG, flags=re.M) == headings


SHOWN = run_path(str(ROOT / "setup.py"))["addressed"]((ROOT / "README.md").read_text(encoding="utf-8"))


def test_on_an_index_every_link_of_the_readme_has_a_whole_address() -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", SHOWN)
    assert len(targets) > 20
    assert [target for target in targets if not target.startswith(("#", "https://"))] == []


def test_on_an_index_pictures_are_addressed_as_files() -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", SHOWN)
    assert len(pictures) > 5
    for picture in pictures:
        place = picture.removeprefix("https://raw.githubusercontent.com/twimager/twimager/main/")
        assert (ROOT / place).is_file(), picture
