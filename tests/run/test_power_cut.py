"""What a run leaves on a disk that keeps what it was told to flush, and nothing else, can always be gone on with."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from tests.support.command import Run
from tests.support.folders import Folders, contents
from twimager.output.layout import JOURNALS
from twimager.report.ledger import Ledger
from twimager.run import journal, writer
from twimager.run.journal_lines import JOURNAL

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files are read through /proc")


class State(NamedTuple):
    """What would be left after a power cut: what files hold, and the names in folders, by inode."""

    files: dict[int, bytes]
    folders: dict[int, dict[str, tuple[int, bool]]]

    def restore(self, folder: int, target: Path) -> None:
        """Make a folder as it would be then; what was never flushed of a file is lost."""
        target.mkdir()
        for name, (inode, is_folder) in self.folders.get(folder, {}).items():
            if is_folder:
                self.restore(inode, target / name)
            else:
                (target / name).write_bytes(self.files.get(inode, b""))


class Disk:
    """Watches what is flushed; `states` are what a power cut would have left after each flush."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._state, self._lock = State({}, {}), threading.Lock()
        self.states: list[State] = [self._state]
        monkeypatch.setattr(os, "fsync", self._flush)

    def _flush(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        with self._lock:
            files, folders = dict(self._state.files), dict(self._state.folders)
            if stat.S_ISDIR(status.st_mode):
                with os.scandir(descriptor) as entries:
                    folders[status.st_ino] = {
                        entry.name: (entry.inode(), entry.is_dir(follow_symlinks=False)) for entry in entries
                    }
            else:
                files[status.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()
            if (files, folders) != self._state:
                self._state = State(files, folders)
                self.states.append(self._state)


def leave(state: State, dest: Path) -> None:
    """Have DEST be what a power cut would have left of it."""
    shutil.rmtree(dest, ignore_errors=True)
    names = state.folders.get(dest.parent.stat().st_ino, {})
    if dest.name in names:
        state.restore(names[dest.name][0], dest)


def done(dest: Path) -> set[str]:
    """The HRs of the pairs that are in the journal with files that are there."""
    path = dest / JOURNALS / JOURNAL
    lines = [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    written = [line for line in lines if "files" in line and all((dest / name).exists() for name in line["files"])]
    return {Path(line["hr"]).name for line in written}


def kept(dest: Path) -> dict[str, object]:
    """All that must be the same in two runs: images, and the report but for how long it took and whether it went on."""
    files = contents(dest)
    report = json.loads(files["report.json"])
    del report["seconds"], report["settings"]["resume"]
    return {**{name: data for name, data in files.items() if name != "report.html"}, "report.json": report}


@pytest.fixture(
    params=[True, pytest.param(False, marks=pytest.mark.slow)], ids=["each pair is flushed", "one only before the end"]
)
def each_flushed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(journal, "SYNC_SHARE", 1e9 if request.param else 1e-9)
    return bool(request.param)


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The names of the HRs that are rendered."""
    names: set[str] = set()
    render = writer.encoded_hr

    def noted(pair, *how):
        names.add(pair.proposal.hr.path.name)
        return render(pair, *how)

    monkeypatch.setattr(writer, "encoded_hr", noted)
    return names


@pytest.mark.slow
def test_whenever_the_power_fails_resume_ends_with_the_same_and_does_nothing_twice(
    run: Run, folders: Folders, each_flushed: bool, rendered: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, accepted = Ledger.accept, {}

    def noted(ledger: Ledger, record) -> None:
        accept(ledger, record)
        accepted[record.pair.proposal.hr.path.name] = len(disk.states) - 1

    with monkeypatch.context() as patch:
        disk = Disk(patch)
        patch.setattr(Ledger, "accept", noted)
        assert run(*folders.flags, "--report", "--jobs", 2).code == 0
    whole = kept(folders.dest)
    assert len(whole) == 6  # four images, the report, the table
    for number, state in enumerate(disk.states):
        leave(state, folders.dest)
        before = done(folders.dest)
        if each_flushed:
            assert before >= {name for name, since in accepted.items() if since <= number}
        rendered.clear()
        assert run(*folders.flags, "--report", "--resume").code == 0
        assert kept(folders.dest) == whole
        assert not rendered & before
    assert done(folders.dest) == set(accepted)


def test_a_run_that_has_ended_is_on_the_disk(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        outcome = run(*folders.flags, "--report", "--output", "hr")
    files = contents(folders.dest)
    leave(disk.states[-1], folders.dest)
    assert contents(folders.dest) == files
    assert run(*folders.flags, "--report", "--output", "hr", "--resume") == outcome


def test_folders_around_dest_that_are_new_are_on_the_disk(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest = folders.dest / "deep" / "down"
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        assert run(*folders.flags[:4], "--dest", dest).code == 0
    files = contents(folders.dest)
    leave(disk.states[-1], folders.dest)
    assert contents(folders.dest) == files != {}


def test_a_journal_takes_the_place_of_an_old_one_as_a_whole(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        assert run(*folders.flags, "--scale", 3).code == 0
        before = len(disk.states) - 1
        assert run(*folders.flags, "--overwrite").code == 0
    whole = contents(folders.dest)
    begun = []
    for state in disk.states[before:]:
        leave(state, folders.dest)
        head = (folders.dest / JOURNALS / JOURNAL).read_bytes().splitlines()[0]
        begun.append(json.loads(head)["settings"]["scale"])
        flags = ("--resume",) if begun[-1] == 2 else ("--overwrite",)
        assert run(*folders.flags, *flags).code == 0
        assert contents(folders.dest).items() >= whole.items()
    assert begun == sorted(begun, reverse=True)
    assert set(begun) == {2, 3}


def test_no_folder_is_flushed_where_there_is_no_way(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []

    def flush(descriptor: int) -> None:
        flushed.append(stat.S_ISREG(os.fstat(descriptor).st_mode))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", flush)
        patch.setattr(sys, "platform", "win32")
        patch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_NBLCK=0, locking=lambda *_: None))
        assert run(*folders.flags).code == 0
    assert flushed
    assert all(flushed)
