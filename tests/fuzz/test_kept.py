"""Whatever becomes of what is kept of a run, in DEST or by --save, the next one says so in a line or goes on.

2,000 seeded mutations of the store, the journal, the report and the trash, each read by the code that reads it.
"""

from __future__ import annotations

import copy
import faulthandler
import json
import os
import random
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import pytest

from tests.support.command import Run
from tests.support.folders import Folders, make_folders
from tests.support.pictures import picture
from tests.support.report import places
from twimager.cli.main import main
from twimager.errors import TwimagerError
from twimager.review.review import Review
from twimager.review.site import ReviewSite

CASES, BATCHES = 50, 2
# Seconds after which a case counts as endless; most take a tenth of one.
LIMIT = 60
NEST = "a nest"
WILD = (
    None, True, False, 0, -1, 1e400, float("nan"), 10**400, 2**63, "", "0", "1e9", "\0", "\ud800", "..", "/", ".",
    "../../../victim", "../../../victim/file", "/etc/passwd", "HR/../../victim/file", "x" * 100_000, [], {}, [[]],
    [None], {"a": {}}, [1, 2, 3, 4], ["LR/h0.png"], ["../victim/file"], NEST,
)  # fmt: skip


class Place(NamedTuple):
    """A DEST, what was read for it, and what a run with --save and a killed review have left of it."""

    folders: Folders
    store: Path
    template: Path

    @property
    def trash(self) -> Path:
        return self.folders.dest / ".twimager/trash/000001"

    def restore(self) -> None:
        """Have DEST and the store be as they were left."""
        shutil.rmtree(self.folders.dest, ignore_errors=True)
        shutil.copytree(self.template / "out", self.folders.dest)
        for left in self.store.parent.glob(f"{self.store.name}*"):
            left.unlink()
        shutil.copy(self.template / "store", self.store)

    def outside(self) -> dict[str, tuple[int, int]]:
        """All that lies beside DEST and the store, by size and time."""
        beside = (self.folders.lr, self.folders.hr, self.folders.dest.with_name("victim"))
        paths = [path for folder in beside for path in (folder, *folder.rglob("*"))]
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folders = make_folders(tmp_path_factory.mktemp("kept"))
    hr = picture("P1040771")[:300, -450:]
    cv2.imwrite(str(folders.hr / "h2.png"), hr)
    cv2.imwrite(str(folders.lr / "l2.png"), cv2.resize(hr, (150, 100), interpolation=cv2.INTER_AREA))
    cv2.imwrite(str(folders.hr / "alone.png"), picture("P1040102")[:200, :300])
    store = folders.dest.with_name("kept.sqlite")
    made = main([*map(str, folders.flags), "--report", "--meta_info", "--save", str(store), "--quiet"])
    assert made == 0
    review = Review(folders.dest / "report.json")
    review.delete(review.pairs[1])
    review.close(keep_trash=True)
    (folders.dest.with_name("victim")).mkdir()
    (folders.dest.with_name("victim") / "file").write_text("theirs")
    template = folders.dest.with_name("template")
    shutil.copytree(folders.dest, template / "out")
    shutil.copy(store, template / "store")
    return Place(folders, store, template)


def spoiled_bytes(data: bytes, change: random.Random) -> bytes:
    """Flip, cut, repeat or blank some bytes."""
    spoiled, kind = bytearray(data), change.randrange(5)
    at = change.randrange(len(data)) if data else 0
    if kind == 0:
        return bytes(spoiled[:at])
    if kind == 1:
        spoiled[at : at + change.randrange(1, 200)] = b""
    elif kind == 2:
        spoiled[at:at] = spoiled[at : at + change.randrange(1, 200)] or b"\0"
    elif kind == 3:
        spoiled[at : at + 64] = bytes(len(spoiled[at : at + 64]))
    else:
        reach = min(len(data), change.choice((200, 4096, len(data))))
        for _ in range(change.choice((1, 3, 30))):
            spoiled[change.randrange(reach)] ^= change.randrange(1, 256)
    return bytes(spoiled)


def spoiled_value(value: Any, change: random.Random) -> Any:
    """Return a value of another type, or one that nothing of that type is."""
    swaps: list[Callable[[], Any]] = [lambda: str(value), lambda: [value], lambda: {"a": value}]
    if isinstance(value, int | float) and not isinstance(value, bool):
        swaps += [lambda: -value, lambda: value * 10**9, lambda: 0.5]
    return change.choice(swaps)() if change.random() < 0.4 else change.choice(WILD)


def spoiled_json(text: str, change: random.Random) -> str:
    """Spoil some values of a JSON document, or leave some out."""
    document = json.loads(text)
    for _ in range(change.choice((1, 1, 2, 5))):
        *path, key = change.choice(places(document)[1:] or [("",)])
        inner = document
        for step in path:
            inner = inner[step]
        if key == "":
            continue
        if change.random() < 0.15:
            del inner[key]
        else:
            inner[key] = spoiled_value(copy.deepcopy(inner[key]), change)
    return json.dumps(document).replace(json.dumps(NEST), "[" * 50_000 + "]" * 50_000)


def spoil_file(path: Path, change: random.Random) -> None:
    data = path.read_bytes()
    if change.random() < 0.3:
        path.write_bytes(spoiled_bytes(data, change))
    else:
        path.write_text(spoiled_json(data.decode(), change))


def spoil_journal(place: Place, change: random.Random) -> None:
    path = place.folders.dest / ".twimager/journal.jsonl"
    lines = path.read_text().splitlines()
    if change.random() < 0.5:  # as if the run had been stopped
        del lines[-3:]
    if change.random() < 0.3:
        path.write_bytes(spoiled_bytes("\n".join([*lines, ""]).encode(), change))
        return
    number = change.randrange(len(lines))
    lines[number] = spoiled_json(lines[number], change)
    path.write_text("\n".join([*lines, ""]))


def spoil_store(place: Place, change: random.Random) -> None:
    if change.random() < 0.5:
        place.store.write_bytes(spoiled_bytes(place.store.read_bytes(), change))
        return
    kind = change.choice(("fingerprint", "evaluation"))
    with sqlite3.connect(place.store) as database:
        for row, value in database.execute(f"SELECT rowid, value FROM entries WHERE kind LIKE '{kind}%'").fetchall():
            if change.random() < 0.2:
                spoiled: Any = change.choice((None, 5, 0.5, "text", b"", b"\xff", b"junk" * 400))
            elif kind == "fingerprint":
                spoiled = spoiled_bytes(value, change)
            else:
                spoiled = spoiled_json(value.decode(), change).encode()
            text = spoiled if isinstance(spoiled, bytes) else str(spoiled).encode()
            given = 0 if spoiled is None else spoiled
            row_change = "UPDATE entries SET (value, checksum) = (?, ?) WHERE rowid = ?"
            database.execute(row_change, (given, zlib.crc32(text), row))
    database.close()


def spoil_trash(place: Place, change: random.Random) -> None:
    note, kind = place.trash / "deleted.json", change.randrange(12)
    victim = place.folders.dest.with_name("victim")
    if kind == 0:
        place.trash.rename(
            place.trash.with_name(change.choice(("000000", "7", "999999", "1e5", "\u0660" * 6, "000001.x")))
        )
    elif kind == 1:
        note.unlink()
    elif kind == 2 and os.name != "nt":
        swapped = change.choice((note, place.trash / "HR", place.trash, place.trash.parent))
        swapped.rename(place.folders.dest / "was")
        swapped.symlink_to(victim, target_is_directory=True)
    else:
        spoil_file(note, change)


def spoil_report(place: Place, change: random.Random) -> None:
    spoil_file(place.folders.dest / "report.json", change)


def review(place: Place, change: random.Random) -> str:
    """Do in a review whatever can be done, and end it as Ctrl-C does; return the error that it ends with."""
    try:
        with Review(place.folders.dest / "report.json") as reviewed:
            ReviewSite(reviewed).get("")
            while reviewed.undo() and change.random() < 0.5:
                pass
            for pair in list(reviewed.pairs):
                change.choice((lambda pair: reviewed.accept(pair, True), reviewed.delete))(pair)
            raise KeyboardInterrupt
    except (TwimagerError, KeyboardInterrupt) as error:
        return str(error)
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(BATCHES))
@pytest.mark.parametrize("what", ["store", "journal", "report", "trash"])
def test_what_is_kept_may_be_anything(run: Run, place: Place, what: str, batch: int) -> None:
    change = random.Random(f"{what} {batch}")
    spoil = {"store": spoil_store, "journal": spoil_journal, "report": spoil_report, "trash": spoil_trash}[what]
    endings = set()
    for number in range(CASES):
        place.restore()
        spoil(place, change)
        outside = place.outside()
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        flags = [*place.folders.flags, "--report", "--meta_info", "--quiet"]
        if what == "store":
            outcome = run(*flags[:4], "--dry", "--save", place.store, "--quiet")
        elif what == "journal":
            outcome = run(*flags, "--resume", "--jobs", 1)
        else:
            outcome = run("gallery", place.folders.dest / "report.json")
        message = "" if what == "store" else review(place, change)
        faulthandler.cancel_dump_traceback_later()
        endings.add(outcome.code)
        assert outcome.code in (0, 2), (number, outcome)
        assert [outcome.err.count("\n"), message.count("\n")] in ([0, 0], [1, 0]), (number, outcome, message)
        assert place.outside() == outside, number
    assert endings == ({0} if what in ("store", "trash") else {0, 2})
