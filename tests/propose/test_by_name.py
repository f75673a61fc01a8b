"""Files of the same name are pairs, whatever their extensions; --search names writes these and no others."""

from pathlib import Path

from tests.support.command import Run
from tests.support.folders import Folders, images
from twimager.propose.by_name import partners

LR, HR = Path("lr"), Path("hr")


def test_folders_count_and_extensions_do_not() -> None:
    lrs = [LR / "a.png", LR / "sub" / "a.png", LR / "b.tar.png"]
    hrs = [HR / "a.jpg", HR / "sub" / "a.png", HR / "b.png", HR / "c.png"]
    assert partners(lrs, LR, hrs, HR) == {lrs[0]: hrs[0], lrs[1]: hrs[1]}


def test_of_two_files_of_one_name_the_first_is_meant() -> None:
    assert partners([LR / "a.jpg", LR / "a.png"], LR, [HR / "a.png"], HR) == {LR / "a.jpg": HR / "a.png"}


def test_only_pairs_of_the_same_name_are_written(run: Run, folders: Folders) -> None:
    """Of two pairs one has two names, and the other one the same: a file of the same bytes, too."""
    (folders.lr / "l1.png").rename(folders.lr / "h1.png")
    for folder in (folders.lr, folders.hr):
        (folder / "copy.jpg").write_bytes((folder / "h1.png").read_bytes())
    outcome = run(*folders.flags, "--search", "names")
    assert outcome.code == 0
    assert sorted(images(folders.dest)) == ["HR/copy.png", "HR/h1.png", "LR/copy.png", "LR/h1.png"]


def test_another_picture_of_the_same_name_is_no_pair(run: Run, folders: Folders) -> None:
    for number in (0, 1):
        (folders.lr / f"l{number}.png").rename(folders.lr / f"h{1 - number}.png")
    assert run(*folders.flags, "--search", "names").code == 4
