"""Files appear whole or not at all, whatever others do meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from twimager.errors import TwimagerError
from twimager.output import atomic


@pytest.mark.parametrize("lost", ["staging", "LR", "."])
def test_a_folder_that_is_deleted_while_a_pair_is_stored_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    dest = tmp_path / "dest"
    _delete_while_storing(monkeypatch, dest / lost, times=1)
    files = {dest / "LR/a.png": b"low", dest / "HR/a.png": b"high"}
    atomic.write_files(files, "run", dest=dest, staging=dest / "staging")
    assert {path: path.read_bytes() for path in files} == files
    assert sorted(path.name for path in dest.rglob("*") if path.is_file()) == ["a.png", "a.png"]


def test_one_that_is_deleted_every_time_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest = tmp_path / "dest"
    _delete_while_storing(monkeypatch, dest / "staging", times=2)
    with pytest.raises(TwimagerError, match=r"cannot write .*a\.png"):
        atomic.write_files(
            {dest / "LR/a.png": b"low", dest / "HR/a.png": b"high"}, "run", dest=dest, staging=dest / "staging"
        )
    assert not [path for path in dest.rglob("*") if path.is_file()]


def _delete_while_storing(monkeypatch: pytest.MonkeyPatch, folder: Path, times: int) -> None:
    """Have a folder be deleted when the first file of a pair is stored, so many times."""
    store, stored = atomic._store, []

    def store_and_lose(path: Path, data: bytes, here: atomic.Folder) -> None:
        store(path, data, here)
        stored.append(path)
        if len(stored) <= times:
            shutil.rmtree(folder)

    monkeypatch.setattr(atomic, "_store", store_and_lose)
