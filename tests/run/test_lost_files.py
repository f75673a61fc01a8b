"""A run whose files are deleted meanwhile does not end as if they were there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import Run, refused
from tests.support.folders import Folders, contents
from tests.support.slow import thorough
from twimager.output.layout import JOURNALS
from twimager.report.ledger import Ledger
from twimager.review.review import Review
from twimager.run import journal
from twimager.run.journal import Journal

Loss = Callable[[Path], None]


def delete(*names: str) -> Loss:
    """Delete folders of DEST, in which another pair may just be written."""

    def loss(dest: Path) -> None:
        for name in names:
            shutil.rmtree(dest / name, ignore_errors=True)

    return loss


def shorten(dest: Path) -> None:
    (dest / "LR/h0.png").write_bytes(b"short")


LOSSES: dict[str, tuple[Loss, str]] = {
    "a file": (lambda dest: (dest / "HR/h0.png").unlink(), "HR/h0.png"),
    "a folder": (delete("LR"), "LR/h0.png"),
    "the images": (delete("LR", "HR"), "LR/h0.png"),
    "DEST": (delete("."), "LR/h0.png"),
}


def lose(monkeypatch: pytest.MonkeyPatch, number: int, loss: Loss, dest: Path) -> None:
    """Have something be lost when so many pairs are written."""
    accept = Ledger.accept

    def accept_and_lose(ledger: Ledger, record) -> None:
        accept(ledger, record)
        if len(ledger) == number:
            loss(dest)

    monkeypatch.setattr(Ledger, "accept", accept_and_lose)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("number", thorough([1, 2]))
@pytest.mark.parametrize("share", thorough([1e9, 1e-9]))
def test_what_is_gone_at_the_end_is_named_and_resume_writes_it_again(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch, name: str, number: int, share: float
) -> None:
    whole = folders.dest.with_name("whole")
    assert run(*folders.flags[:4], "--dest", whole, "--report").code == 0
    loss, first = LOSSES[name]
    with monkeypatch.context() as patch:
        patch.setattr(journal, "SYNC_SHARE", share)
        lose(patch, number, loss, folders.dest)
        outcome = run(*folders.flags, "--report", "--jobs", 1)
    # A pair that is just being written may be the first that has no DEST any more.
    lost = "cannot write" if "cannot write" in outcome.err and name == "DEST" else f"{folders.dest / first} is gone"
    refused(outcome, 1, lost, "--resume")
    assert not (folders.dest / "report.json").exists()
    assert run(*folders.flags, "--report", "--resume").code == 0
    images = {name: data for name, data in contents(whole).items() if name.endswith(".png")}
    assert contents(folders.dest).items() >= images.items()


def test_how_many_are_gone_is_reported(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    lose(monkeypatch, 2, LOSSES["a folder"][0], folders.dest)
    assert "2 of the 4 files" in run(*folders.flags).err


def test_a_file_of_another_size_is_named_and_not_replaced(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        lose(patch, 2, shorten, folders.dest)
        refused(run(*folders.flags), 1, str(folders.dest / "LR/h0.png"), "another size")
    outcome = run(*folders.flags, "--resume")
    assert outcome.code == 3
    assert (folders.dest / "LR/h0.png").read_bytes() == b"short"


@pytest.mark.parametrize("output", ["lr", "hr"])
def test_images_of_one_side_too(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    with monkeypatch.context() as patch:
        lose(patch, 2, lambda dest: (dest / output.upper() / "h1.png").unlink(), folders.dest)
        refused(run(*folders.flags, "--output", output), 1, "h1.png is gone", "1 of the 2 files")
    assert run(*folders.flags, "--output", output, "--resume").code == 0
    assert len(contents(folders.dest)) == 2


def test_a_journal_that_was_deleted_is_put_back(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        lose(patch, 1, delete(JOURNALS), folders.dest)
        outcome = run(*folders.flags)
    assert outcome.code == 0
    assert run(*folders.flags, "--resume") == outcome


def test_what_a_review_deleted_is_not_missed(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "end", lambda *_: None)
        assert run(*folders.flags, "--report").code == 0
    with Review(folders.dest / "report.json") as review:
        review.delete(review.pairs[0])
    assert run(*folders.flags, "--report", "--resume").code == 0
    assert len(list((folders.dest / "HR").iterdir())) == 1
