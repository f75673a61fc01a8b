"""What is kept of one run for the next."""

import json
import os
import re
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders, make_folders
from tests.support.paths import EXAMPLES
from tests.support.pictures import cat
from tests.support.slow import thorough
from twimager.cli.common import STORE
from twimager.cli.main import main
from twimager.fingerprint import records, working_image
from twimager.fingerprint.cache import Store
from twimager.fingerprint.decoded_image import DecodedImage, decode_image
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.features import RECORD, Features
from twimager.fingerprint.fingerprint import LIGHT_HR, LIGHT_LR, Bars, Fingerprint, Recipe
from twimager.fingerprint.stamp import Stamp, stamp
from twimager.image.pixels import Gray
from twimager.pairing import evaluate, read

LR, HR = LIGHT_LR, LIGHT_HR._replace(srgb=True)


def outputs(dest: Path) -> dict[str, bytes]:
    return {f"{p.parent.name}/{p.name}": p.read_bytes() for p in sorted(dest.glob("*/*.png"))}


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the LRs whose proposals are evaluated, as they are."""
    names: list[str] = []
    align = evaluate.align

    def counted(proposals, method):
        names.append(proposals[0].lr.path.name)
        return align(proposals, method)

    monkeypatch.setattr(evaluate, "align", counted)
    return names


@pytest.fixture
def files_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are fingerprinted, as they are; once more when features are looked for."""
    names: list[str] = []
    extract_features = read.extract_features

    def named(image: Fingerprint, gray: Gray, recipe: Recipe) -> Fingerprint:
        names.append(image.path.name)
        return extract_features(image, gray, recipe)

    def counted(path: Path, recipe: Recipe) -> DecodedImage:
        names.append(path.name)
        return decode_image(path, recipe)

    monkeypatch.setattr(read, "decode_image", counted)
    monkeypatch.setattr(read, "extract_features", named)
    return names


def values(image: Fingerprint) -> list[object]:
    known = [getattr(image, field.name) for field in fields(image) if field.name != "features"]
    return known + [getattr(image.features, field.name) for field in fields(Features)]


@pytest.fixture(scope="module")
def saved_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs, their DEST and what --save kept; to be put in its place, `now`, which is beside it."""
    place = tmp_path_factory.mktemp("saved")
    assert main([*map(str, make_folders(place / "now").flags), "--save", "--quiet"]) == 0
    return (place / "now").rename(place / "kept")


@pytest.fixture
def saved(saved_once: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    """Two pairs, after a run with --save."""
    monkeypatch.setattr(working_image, "recent", working_image.LRUCache(working_image.RECENT_BYTES))
    now = saved_once.with_name("now")
    shutil.rmtree(now, ignore_errors=True)
    shutil.copytree(saved_once, now)
    return Folders(now / "low", now / "high", now / "out")


def test_what_is_kept_is_what_was_found(tmp_path: Path) -> None:
    image = fingerprint(EXAMPLES / "HR" / "P1040102.jpg", HR)
    image = replace(image, bars=Bars(1, 2, 3, 4))
    seen = stamp(image.path)
    with Store(tmp_path / "s", pytest.fail) as kept:
        kept.keep(image, seen, HR)
    with Store(tmp_path / "s", pytest.fail) as kept:
        found = kept.get(image.path, seen, HR)
        assert found is not None
        for was, now in zip(values(image), values(found), strict=True):
            assert type(was) is type(now)
            assert np.array_equal(was, now)
        assert kept.get(image.path, seen, LR) is None
        assert kept.get(image.path, Stamp(seen.bytes, seen.modified + 1), HR) is None
        assert kept.get(image.path.with_name("other.jpg"), seen, HR) is None


def test_an_image_without_features_is_kept(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "flat.png"), np.full((50, 60, 3), 128, np.uint8))
    image = fingerprint(tmp_path / "flat.png", LR)
    with Store(tmp_path / "s", pytest.fail) as kept:
        kept.keep(image, stamp(image.path), LR)
    with Store(tmp_path / "s", pytest.fail) as kept:
        found = kept.get(image.path, stamp(image.path), LR)
    assert found is not None
    assert (found.size, found.hashes, found.features.descriptors.shape) == ((60, 50), image.hashes, (0, 128))


def test_the_second_run_reads_nothing_for_hashing_and_finds_the_same(
    run: Run, folders: Folders, files_read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*folders.flags, "--save").code == 0
    assert sorted(files_read) == ["h0.png", "h1.png", "l0.png", "l1.png"]
    assert (folders.dest.parent / STORE).is_file()
    first = outputs(folders.dest)
    files_read.clear()
    monkeypatch.setattr(working_image, "recent", working_image.LRUCache(working_image.RECENT_BYTES))
    assert run(*folders.flags, "--save", "--overwrite").code == 0
    assert files_read == []
    assert outputs(folders.dest) == first != {}


def test_a_file_that_has_changed_is_read_again(run: Run, saved: Folders, files_read: list[str]) -> None:
    os.utime(saved.lr / "l0.png", ns=(1, 1))
    cv2.imwrite(str(saved.hr / "h1.png"), cat()[:200, :300])
    run(*saved.flags, "--save", "--overwrite")
    # The changed ones; then, as the other one's partner is gone, what is left over is looked at for features, for those
    # of stretched copies of the LR, and for more.
    assert sorted(files_read) == sorted(["h1.png", "l0.png", *2 * ["h1.png", "l1.png"], *2 * ["l1.png"]])


def without_times(dest: Path) -> dict:
    report = json.loads((dest / "report.json").read_text())
    return {key: value for key, value in report.items() if key not in ("seconds", "settings")}


@pytest.mark.parametrize("flags", thorough([[], ["--method", "flow"], ["--all_matches"]]))
def test_the_second_run_evaluates_nothing_and_reports_the_same(
    run: Run, folders: Folders, tmp_path: Path, evaluated: list[str], flags: tuple[str, ...]
) -> None:
    shutil.copy(folders.hr / "h0.png", folders.hr / "twin.png")
    x, y = np.meshgrid(np.arange(450, dtype=np.float32), np.arange(300, dtype=np.float32))
    displaced = cv2.remap(cat()[:300, :450], x + 4 * np.sin(y / 40), y + 4 * np.sin(x / 50), cv2.INTER_CUBIC)
    cv2.imwrite(str(folders.lr / "l0.png"), cv2.resize(displaced, (150, 100), interpolation=cv2.INTER_AREA))
    same = *folders.flags[:4], "--save", tmp_path / "kept", "--report", *flags
    assert run(*same, "--dest", tmp_path / "first").code == 0
    assert set(evaluated) == {"l0.png", "l1.png"}
    evaluated.clear()
    assert run(*same, "--dest", tmp_path / "second", "--suffix", "again", "--jobs", 1).code == 0
    assert evaluated == []
    images = [[p.read_bytes() for p in sorted((tmp_path / d).glob("*/*.png"))] for d in ("first", "second")]
    assert images[0] == images[1] != []
    first, second = (
        json.dumps(without_times(tmp_path / d)).replace("_again.png", ".png").replace(f"/{d}/", "/")
        for d in ("first", "second")
    )
    assert first == second


@pytest.mark.parametrize(
    "flags",
    [
        ("--format", "webp"),
        ("--color_transfer",),
        ("--prefix", "p"),
        ("--filename", "lr"),
        ("--limit", 9),
        ("--jobs", 1),
    ],
)
def test_what_no_evaluation_depends_on_evaluates_nothing_anew(
    run: Run, saved: Folders, evaluated: list[str], flags: tuple[object, ...]
) -> None:
    assert run(*saved.flags, "--save", "--overwrite", *flags).code == 0
    assert evaluated == []


@pytest.mark.parametrize("flags", [("--threshold", 80), ("--border", "keep"), ("--keep_icc",), ("--all_matches",)])
def test_what_an_evaluation_depends_on_evaluates_anew(
    run: Run, saved: Folders, evaluated: list[str], flags: tuple[object, ...]
) -> None:
    assert run(*saved.flags, "--save", "--overwrite", *flags).code == 0
    assert sorted(evaluated) == ["l0.png", "l1.png"]


def test_evaluations_hold_for_the_same_scale_and_files_only(run: Run, saved: Folders, evaluated: list[str]) -> None:
    run(*saved.flags, "--save", "--overwrite", "--scale", 3)
    assert sorted(evaluated) == ["l0.png", "l1.png"]
    evaluated.clear()
    os.utime(saved.hr / "h1.png", ns=(1, 1))
    run(*saved.flags, "--save", "--overwrite", "--scale", 3)
    assert evaluated == ["l1.png"]


def test_a_file_by_another_name_serves_any_dest(
    run: Run, folders: Folders, tmp_path: Path, files_read: list[str]
) -> None:
    kept = tmp_path / "kept.db"
    run("--lr", folders.lr, "--hr", folders.hr, "--dry", "--save", kept)
    files_read.clear()
    assert run(*folders.flags, "--save", kept).code == 0
    assert files_read == []


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def foreign(path: Path) -> None:
    shutil.copy(EXAMPLES / "HR" / "P1040102.jpg", path)


def another_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE fingerprints (finger TEXT)")
    database.close()


def older(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE about SET made_by = 'twimager 0.0.1, OpenCV 4.9.0'")
    database.close()


@pytest.mark.parametrize("spoil", [damaged, cut_short, foreign, another_database, older])
def test_what_is_no_store_is_set_aside_in_one_line(run: Run, saved: Folders, files_read: list[str], spoil) -> None:
    first, path = outputs(saved.dest), saved.dest.parent / STORE
    spoil(path)
    spoiled = path.read_bytes()
    outcome = run(*saved.flags, "--save", "--overwrite", "--quiet")
    assert outcome.code == 0
    assert len(outcome.err.splitlines()) == 1
    assert f"set aside as {STORE}.1" in outcome.err
    assert path.with_name(f"{STORE}.1").read_bytes() == spoiled
    assert len(files_read) == 4
    assert outputs(saved.dest) == first
    files_read.clear()
    assert run(*saved.flags, "--save", "--overwrite", "--quiet").err == ""
    assert files_read == []


def test_a_damaged_entry_is_not_used(run: Run, saved: Folders, files_read: list[str]) -> None:
    with sqlite3.connect(saved.dest.parent / STORE) as database:
        database.execute(
            "UPDATE entries SET value = zeroblob(length(value)) WHERE kind = ?",
            [f"fingerprint {tuple(HR.without_features)}"],
        )
    database.close()
    assert run(*saved.flags, "--save", "--overwrite").code == 0
    assert sorted(files_read) == ["h0.png", "h1.png"]


def first_page_flipped(path: Path) -> None:
    """The names of its tables are no text any more, so that SQLite's own message is none."""
    data = bytearray(path.read_bytes())
    for found in re.finditer(b"entries|about", bytes(data[:4096])):
        data[found.start()] ^= 0x80
    path.write_bytes(data)


def sql(*statements: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with sqlite3.connect(path) as database:
            for statement in statements:
                database.execute(statement)
        database.close()

    return spoil


ROWS = "SELECT rowid, value FROM entries"
SPOIL = "UPDATE entries SET (value, checksum) = (?, ?) WHERE rowid = ?"
FOREIGN = {
    "flipped names": first_page_flipped,
    "a maker that is no text": sql("UPDATE about SET made_by = CAST(x'ff80' AS TEXT)"),
    "a maker that is a number": sql("UPDATE about SET made_by = 7"),
    "a trigger": sql("CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM about; END"),
    "a view": sql("CREATE VIEW v AS SELECT 1"),
    "a table less": sql("DROP TABLE entries"),
    "a column more": sql("ALTER TABLE entries ADD COLUMN more"),
}


@pytest.mark.parametrize("spoil", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_no_store_of_ours_is_set_aside(run: Run, saved: Folders, spoil: Callable[[Path], None]) -> None:
    first, path = outputs(saved.dest), saved.dest.parent / STORE
    spoil(path)
    outcome = run(*saved.flags, "--save", "--overwrite", "--quiet")
    assert outcome.code == 0
    assert len(outcome.err.splitlines()) == 1
    assert len(outcome.err) < 600
    assert f"set aside as {STORE}.1" in outcome.err
    assert outputs(saved.dest) == first
    assert run(*saved.flags, "--save", "--overwrite", "--quiet").err == ""


def test_a_file_that_sqlite_s_journal_names_is_not_deleted(tmp_path: Path) -> None:
    """SQLite deletes what a journal calls its super-journal."""
    with Store(tmp_path / "s", pytest.fail):
        pass
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    name, mark = os.fsencode(victim), bytes.fromhex("d9d505f920a163d7")
    head = (mark + struct.pack(">5I", 0, 1, 1, 512, 4096)).ljust(512, b"\0")
    named = struct.pack(">I", 0) + name + struct.pack(">2I", len(name), sum(name)) + mark
    (tmp_path / "s-journal").write_bytes(head + named)
    with Store(tmp_path / "s", pytest.fail) as kept:
        assert kept.keeps
    assert victim.read_text() == "theirs"


def in_place(at: int, data: bytes) -> Callable[[bytes], bytes]:
    return lambda image: image[:at] + data + image[at + len(data) :]


HASHES_AT, FIRST_HASH_AT = records.HEAD.itemsize - 4, records.HEAD.itemsize
IMAGES: dict[str, Callable[[bytes], object]] = {
    "a number": lambda _: 5,
    "text": lambda _: "text",
    "nothing": lambda _: b"",
    "junk": lambda image: b"\xff" * len(image),
    "cut": lambda image: image[:-1],
    "a byte more": lambda image: image + b"\0",
    "hashes without end": in_place(HASHES_AT, b"\xff\xff\xff\x7f"),
    "fewer hashes than none": in_place(HASHES_AT, b"\xff" * 4),
    "no size": in_place(0, bytes(8)),
    "a size below none": in_place(0, b"\xff" * 8),
    "a size beyond all": in_place(0, b"\xff\xff\xff\x7f" * 2),
    "bars below none": in_place(8, b"\xff" * 4),
    "features where none are": lambda image: image + bytes(RECORD.itemsize),
}


@pytest.mark.parametrize("value", IMAGES.values(), ids=IMAGES.keys())
def test_an_invalid_fingerprint_is_not_used(
    run: Run, saved: Folders, files_read: list[str], value: Callable[[bytes], object]
) -> None:
    first = outputs(saved.dest)
    with sqlite3.connect(saved.dest.parent / STORE) as database:
        for row, image in database.execute(f"{ROWS} WHERE kind LIKE 'fingerprint %'").fetchall():
            spoiled = value(image)
            checksum = zlib.crc32(spoiled if isinstance(spoiled, bytes) else str(spoiled).encode())
            database.execute(SPOIL, (spoiled, checksum, row))
    database.close()
    outcome = run(*saved.flags, "--save", "--overwrite", "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    assert len(files_read) == 4
    assert outputs(saved.dest) == first
    files_read.clear()
    assert run(*saved.flags, "--save", "--overwrite", "--quiet").code == 0
    assert files_read == []


def test_features_that_are_none_are_not_used(tmp_path: Path) -> None:
    image = fingerprint(EXAMPLES / "HR" / "P1040102.jpg", HR)
    seen = stamp(image.path)
    for name, value in (
        ("points", np.nan), ("points", -9.0), ("points", 1e9), ("radii", np.nan), ("radii", 0.0), ("radii", np.inf),
        ("angles", np.nan), ("angles", 1e9),
    ):  # fmt: skip
        spoiled = getattr(image.features, name).copy()
        spoiled.flat[3] = value
        with Store(tmp_path / "s", pytest.fail) as kept:
            kept.keep(replace(image, features=replace(image.features, **{name: spoiled})), seen, HR)
        with Store(tmp_path / "s", pytest.fail) as kept:
            assert kept.get(image.path, seen, HR) is None


def inside(*keys: object, value: object) -> Callable[[str], str]:
    """Change one value of the first pair of an evaluation."""

    def change(text: str) -> str:
        document = json.loads(text)
        place = document["pairs"][0]
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        return json.dumps(document)

    return change


PLACE, MATCH, SCORES, COMMON, WINDOW, SCORE_GAP, NATIVE = range(7)
EVALUATIONS: dict[str, Callable[[str], object]] = {
    "a number": lambda _: 5,
    "bytes": lambda _: b"\xff\xfe",
    "no text": lambda _: None,
    "no JSON": lambda _: "{",
    "null": lambda _: "null",
    "an empty object": lambda _: "{}",
    "a nest": lambda _: "[" * 100_000,
    "pairs that are none": lambda _: '{"pairs": [1], "deferred": [], "rejected": []}',
    "an unknown reason": lambda _: '{"pairs": [], "deferred": [], "rejected": [[0, "WHY", null, null]]}',
    "a reason without words": lambda _: '{"pairs": [], "deferred": [], "rejected": [[0, "HASH", 3, null, null]]}',
    "a place before the first": inside(PLACE, value=-1),
    "a place beyond the last": inside(PLACE, value=99),
    "a matrix of text": inside(MATCH, "matrix", value="text"),
    "a matrix of another shape": inside(MATCH, "matrix", value=[1, 2]),
    "a matrix without inverse": inside(MATCH, "matrix", value=[[0, 0, 0]] * 3),
    "a matrix that folds": inside(MATCH, "matrix", 2, value=[1, 1, -1]),
    "a matrix that is no number": inside(MATCH, "matrix", 0, 0, value=float("nan")),
    "inliers as text": inside(MATCH, "inliers", value="9"),
    "a displacement of one": inside(MATCH, "displacement", value=[[1]]),
    "a displacement of nothing": inside(
        MATCH, "displacement", value={"controls": [[], []], "to_knots": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}
    ),
    "scores as text": inside(SCORES, "correlation", value="0.9"),
    "too many scores": inside(SCORES, value=[1] * 9),
    "no scores": inside(SCORES, "correlation", value=None),
    "a window beyond the frame": inside(WINDOW, value=[0, 0, 10**9, 10**9]),
    "an empty window": inside(WINDOW, value=[0, 0, 0, 0]),
    "a window of halves": inside(WINDOW, value=[0.5, 0, 10, 10]),
    "a corner for what both show": inside(COMMON, value=[5]),
    "a size as text": inside(NATIVE, value="1"),
    "no size": inside(NATIVE, value=0),
    "a number without end": inside(SCORE_GAP, value=10**400),
}


@pytest.mark.parametrize("value", EVALUATIONS.values(), ids=EVALUATIONS.keys())
def test_an_invalid_evaluation_is_not_used(
    run: Run, saved: Folders, evaluated: list[str], value: Callable[[str], object]
) -> None:
    first = outputs(saved.dest)
    with sqlite3.connect(saved.dest.parent / STORE) as database:
        for row, text in database.execute(f"{ROWS} WHERE kind = 'evaluation'").fetchall():
            spoiled = value(text.decode())
            if spoiled is None:
                update = "UPDATE entries SET value = CAST(x'ff80' AS TEXT), checksum = ? WHERE rowid = ?"
                database.execute(update, (zlib.crc32(b"\xff\x80"), row))
                continue
            if isinstance(spoiled, str):
                spoiled = spoiled.encode()
            checksum = zlib.crc32(spoiled if isinstance(spoiled, bytes) else str(spoiled).encode())
            database.execute(SPOIL, (spoiled, checksum, row))
    database.close()
    outcome = run(*saved.flags, "--save", "--overwrite", "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    assert sorted(evaluated) == ["l0.png", "l1.png"]
    assert outputs(saved.dest) == first
    evaluated.clear()
    assert run(*saved.flags, "--save", "--overwrite", "--quiet").code == 0
    assert evaluated == []


def test_where_nothing_can_be_kept_the_run_goes_on(run: Run, folders: Folders, tmp_path: Path) -> None:
    for place in (tmp_path / "missing" / "kept.db", tmp_path):
        outcome = run("--lr", folders.lr, "--hr", folders.hr, "--dry", "--save", place, "--quiet")
        assert outcome.code == 0
        assert len(outcome.err.splitlines()) == 1
        assert "not kept" in outcome.err


@pytest.mark.parametrize("inside", ["lr", "hr", "dest"])
def test_a_store_among_the_images_is_refused(run: Run, folders: Folders, inside: str) -> None:
    outcome = run(*folders.flags, "--save", getattr(folders, inside) / "kept.db")
    assert outcome.code == 2
    assert "--save" in outcome.err


def test_save_without_a_place_needs_dest(run: Run, folders: Folders) -> None:
    outcome = run("--lr", folders.lr, "--hr", folders.hr, "--dry", "--save")
    assert outcome.code == 2
    assert "--save" in outcome.err


def test_many_may_use_one_store_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twimager.fingerprint.database.BATCH", 3)
    image = fingerprint(EXAMPLES / "LR" / "still_01.png", LR)
    names = [[image.path.with_name(f"{worker}-{number}") for number in range(20)] for worker in range(4)]

    def work(paths: list[Path]) -> None:
        with Store(tmp_path / "s", pytest.fail) as kept:
            for path in paths:
                kept.keep(replace(image, path=path), Stamp(1, 2), LR)
                kept.get(path, Stamp(1, 2), LR)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, names))
    with Store(tmp_path / "s", pytest.fail) as kept:
        assert all(kept.get(path, Stamp(1, 2), LR) for paths in names for path in paths)
