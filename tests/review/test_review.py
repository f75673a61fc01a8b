"""A review: decisions are in the files at once, undo brings every byte back, and only DEST's own files are touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Run, refused
from tests.support.folders import Folders, contents, images
from tests.support.marks import links
from tests.support.page import Parsed
from tests.support.report import VALIDATOR, report_of, rows_of
from twimager.errors import TwimagerError, UsageError
from twimager.output import atomic
from twimager.review.review import Review

ALL = ("--report", "--meta_info", "--hf")
DOCUMENTS = [
    f"out/{name}"
    for name in (
        "report.json", "report.html", "pairs.csv", "meta_info.txt", "meta_info_pair.txt", "metadata.jsonl",
        ".twimager/lock", ".twimager/journal.jsonl",
    )
]  # fmt: skip


def flags_of(dest: Path) -> tuple[object, ...]:
    return Folders(dest.with_name("low"), dest.with_name("high"), dest).flags


def documents(dest: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in dest.iterdir() if path.is_file()}


def names_in_documents(dest: Path) -> list[list[str]]:
    """The HR outputs that each document names."""
    report = report_of(dest)
    VALIDATOR.validate(report)
    page = Parsed((dest / "report.html").read_bytes()).data
    listed, paired, metadata = (
        (dest / name).read_text().splitlines() for name in ("meta_info.txt", "meta_info_pair.txt", "metadata.jsonl")
    )
    return [
        sorted(Path(pair["hr_output"]).name for pair in report["pairs"]),
        sorted(Path(row["hr_output"]).name for row in rows_of((dest / "pairs.csv").read_bytes())),
        sorted(card["name"] for card in page["pairs"]),
        sorted(line.split(" ")[0] for line in listed),
        sorted(Path(line.split(", ")[0]).name for line in paired),
        sorted(Path(json.loads(line)["hr_file_name"]).name for line in metadata),
    ]


def test_what_is_deleted_is_gone_from_the_files_and_all_documents(dest: Path) -> None:
    before = images(dest)
    with Review(dest / "report.json") as review:
        pair = review.pairs[1]
        gone = {path.relative_to(dest).as_posix() for path in review.outputs(pair)}
        review.delete(pair)
        assert len(report_of(dest)["pairs"]) == 2
        VALIDATOR.validate(report_of(dest))
        assert not gone & {name for name in images(dest) if not name.startswith(".")}
    assert images(dest) == {name: data for name, data in before.items() if name not in gone}
    assert not list((dest / ".twimager").glob("trash*"))
    first, *others = names_in_documents(dest)
    assert len(first) == 2
    assert all(other == first for other in others)
    report = report_of(dest)
    (turned_down,) = [other for other in report["rejected_pairs"] if other["reason"] == "skipped by hand"]
    assert (turned_down["lr"], turned_down["hr"]) == (pair.lr, pair.hr)
    left = {image["path"] for image in report["rejected_images"] if image["reason"] == "skipped by hand"}
    assert left == {pair.lr, pair.hr}


def test_undo_brings_back_every_byte_and_the_place(dest: Path) -> None:
    before, files = documents(dest), images(dest)
    times = {name: (dest / name).stat().st_mtime_ns for name in files}
    with Review(dest / "report.json") as review:
        for place in (1, 0, 0):
            review.delete(review.pairs[place])
        assert images(dest).keys().isdisjoint(files)
        assert [review.undo() is None for _ in range(4)] == [False, False, False, True]
        assert documents(dest)["report.json"] == before["report.json"]
    assert (documents(dest), images(dest)) == (before, files)
    assert {name: (dest / name).stat().st_mtime_ns for name in files} == times


def test_acceptance_is_in_the_report_at_once(dest: Path) -> None:
    with Review(dest / "report.json") as review:
        review.accept(review.pairs[2], True)
        assert [pair["accepted"] for pair in report_of(dest)["pairs"]] == [None, None, True]
        VALIDATOR.validate(report_of(dest))
        review.accept(review.pairs[2], False)
        assert [pair["accepted"] for pair in report_of(dest)["pairs"]] == [None, None, None]


def test_what_was_deleted_first_is_undone_last(dest: Path) -> None:
    with Review(dest / "report.json") as review:
        first, second, _ = review.pairs
        review.delete(second)
        review.delete(first)
        assert review.undo() is first
        assert review.pairs[0] is first
    assert len(images(dest)) == 4


def test_a_review_without_a_decision_changes_nothing(dest: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in dest.rglob("*") if path.is_file() and path.name != "lock"}
    with Review(dest / "report.json") as review:
        assert len(review.pairs) == 3
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_dest_may_have_been_moved(dest: Path) -> None:
    moved = dest.rename(dest.with_name("elsewhere"))
    files = images(moved)
    with Review(moved / "report.json") as review:
        assert all(path.is_file() for path in review.outputs(review.pairs[0]))
        review.delete(review.pairs[0])
        review.undo()
        review.delete(review.pairs[0])
    assert len(images(moved)) == len(files) - 2
    first, *others = names_in_documents(moved)
    assert all(other == first for other in others)


@pytest.mark.parametrize("output", ["lr", "hr"])
def test_one_side_only(run: Run, folders: Folders, output: str) -> None:
    run(*folders.flags, "--report", "--output", output)
    before = images(folders.dest)
    with Review(folders.dest / "report.json") as review:
        assert review.home == folders.dest
        review.delete(review.pairs[0])
        assert len(images(folders.dest).keys() & before.keys()) == 1
        review.undo()
        assert images(folders.dest) == before
        review.delete(review.pairs[1])
    assert len(images(folders.dest)) == 1


def test_a_file_that_another_pair_needs_stays(dest: Path) -> None:
    report = report_of(dest)
    report["pairs"].append({**report["pairs"][0], "lr": "/other.png", "hr_output": report["pairs"][1]["hr_output"]})
    (dest / "report.json").write_text(json.dumps(report))
    with Review(dest / "report.json") as review:
        first, second, _, sharing = review.pairs
        lr, hr = review.outputs(first)
        review.delete(first)
        assert lr.exists()
        assert not hr.exists()
        review.delete(sharing)
        assert not lr.exists()
        assert review.outputs(second)[1].exists()


def test_missing_files_are_no_obstacle(dest: Path) -> None:
    with Review(dest / "report.json") as review:
        lr, hr = review.outputs(review.pairs[0])
        lr.unlink()
        review.delete(review.pairs[0])
        assert not hr.exists()
        review.undo()
        assert (hr.exists(), lr.exists()) == (True, False)


def outside(name: str) -> Callable[[dict[str, Any], Path], None]:
    def change(report: dict[str, Any], dest: Path) -> None:
        report["pairs"][1]["hr_output"] = name.format(dest=dest, hr=report["pairs"][0]["hr"])

    return change


def linked(side: str) -> Callable[[dict[str, Any], Path], None]:
    def change(_: dict[str, Any], dest: Path) -> None:
        (dest / side).rename(dest.with_name("real"))
        (dest / side).symlink_to(dest.with_name("real"))

    return change


def linked_file(_: dict[str, Any], dest: Path) -> None:
    file = next((dest / "HR").iterdir())
    file.rename(dest.with_name("real.png"))
    file.symlink_to(dest.with_name("real.png"))


def directory(_: dict[str, Any], dest: Path) -> None:
    file = next((dest / "HR").iterdir())
    file.unlink()
    file.mkdir()


def sources(report: dict[str, Any], dest: Path) -> None:
    report["pairs"][1]["hr"] = report["pairs"][0]["hr_output"]


def source_folder(report: dict[str, Any], dest: Path) -> None:
    report["settings"]["lr"] = str(dest / "LR")


def dest_above(report: dict[str, Any], dest: Path) -> None:
    report["settings"]["dest"] = str(dest.parent)


POINTING_ELSEWHERE = {
    "an absolute path": outside("/etc/victim.png"),
    "the folder above": outside("{dest}/HR/../../victim.png"),
    "out and in again": outside("{dest}/HR/../LR/h0.png"),
    "the other side": outside("{dest}/LR/h0.png"),
    "dots alone": outside("{dest}/HR/.."),
    "a source": outside("{hr}"),
    "a document": outside("{dest}/report.json"),
    "another kind of file": outside("{dest}/HR/notes.txt"),
    "the journal": outside("{dest}/.twimager/journal.jsonl"),
    "a relative path": outside("HR/h0.png"),
    "nothing": outside(""),
    "a zero byte": outside("{dest}/HR/\0.png"),
    "an LR that is a link": linked("LR"),
    "an HR that is a link": linked("HR"),
    "a file that is a link": linked_file,
    "a folder": directory,
    "an output that is a source": sources,
    "outputs in the folder of the sources": source_folder,
    "another dest": dest_above,
}


@pytest.mark.parametrize("change", POINTING_ELSEWHERE.values(), ids=POINTING_ELSEWHERE.keys())
def test_a_report_that_points_elsewhere_is_refused(dest: Path, change: Callable[..., None]) -> None:
    victim = dest.with_name("victim.png")
    victim.write_bytes(b"victim")
    report = report_of(dest)
    change(report, dest)
    (dest / "report.json").write_text(json.dumps(report))
    before = contents(dest.parent)
    with pytest.raises(UsageError) as refusal:
        Review(dest / "report.json")
    assert "\n" not in str(refusal.value)
    assert contents(dest.parent) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ("[" * 100_000, "damaged"),
        ('{"schema_version": 4, "pairs": 3}', "damaged"),
        ('{"schema_version": 4, "settings": {"dry": false}, "pairs": []}', "damaged"),
        ('{"schema_version": 2}', "version 2"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(UsageError, match=words):
        Review(tmp_path / "report.json")
    with pytest.raises(UsageError, match="can't be read"):
        Review(tmp_path / "none.json")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_records_that_lack_something_are_refused(dest: Path) -> None:
    report = report_of(dest)
    for key in ("lr", "hr_output", "window", "accepted", "rivals"):
        pair = {name: value for name, value in report["pairs"][0].items() if name != key}
        (dest / "report.json").write_text(json.dumps({**report, "pairs": [pair]}))
        with pytest.raises(UsageError, match="damaged"):
            Review(dest / "report.json")


OFF_TYPE = [
    ("pairs", 0, "residual", "0.1"), ("pairs", 0, "residual", 1e400), ("pairs", 0, "correlation", [0.9]),
    ("pairs", 0, "correlation", float("nan")), ("pairs", 0, "inliers", 10**400), ("pairs", 0, "inliers", 1.5),
    ("pairs", 0, "coverage", True), ("pairs", 0, "window", ["1", 2, 3, 4]), ("pairs", 0, "window", [1, 2]),
    ("pairs", 0, "rivals", "none"), ("pairs", 0, "lr", 5), ("pairs", 0, "hr", "x" * 40_000),
    ("pairs", 0, "accepted", "yes"), ("pairs", 0, "mirrored", 0), ("pairs", 0, "method", {}),
    ("pairs", 0, "native_scale", 0), ("pairs", 0, []), ("pairs", {}), ("rejected_pairs", 0, "detail", None),
    ("rejected_pairs", 0, "inliers", "9"), ("rejected_images", 0, "side", "XR"), ("rejected_images", 0, "path", {}),
    ("settings", "dest", 5), ("settings", "scale", "2"), ("settings", "scale", -1), ("settings", "output", 1),
    ("settings", "format", ["png"]), ("settings", "lr", None), ("settings", "dry", "no"), ("settings", []),
    ("settings", "other", [[[]]]), ("seconds", "reading LR", "1"), ("twimager", None), ("schema_version", "4"),
    ("schema_version", True), ("more", 1),
]  # fmt: skip


@pytest.mark.parametrize("change", OFF_TYPE, ids=lambda change: f"{'.'.join(map(str, change[:-1]))}-{change[-1]!r:.12}")
def test_a_value_of_another_type_is_refused(run: Run, dest: Path, change: tuple[Any, ...]) -> None:
    report = report_of(dest)
    report["rejected_pairs"].append(
        {"lr": "/a.png", "hr": "/b.png", "reason": "skipped by hand", "detail": ""}
        | {
            key: report["pairs"][0][key]
            for key in ("source", "mirrored", "negative", "hash_distance", "inliers", "coverage")
        }
        | dict.fromkeys(
            ("correlation", "hash_agreement", "residual", "color_distance", "agreed", "different", "unjudged")
        )
        | dict.fromkeys(("contradicted", "agreement", "matrix", "lr_frame", "hr_frame"))
    )
    image = {"side": "LR", "path": "/a.png", "reason": "skipped by hand", "detail": "", "frame": None}
    report["rejected_images"].append(image)
    (dest / "report.json").write_text(json.dumps(report))
    assert run("gallery", dest / "report.json").code == 0
    *place, key, value = change
    inner = report
    for step in place:
        inner = inner[step]
    inner[key] = value
    (dest / "report.json").write_text(json.dumps(report))
    before = everything(dest)
    refused(run("gallery", dest / "report.json"), 2, "report.json", "damaged")
    refused(run("review", dest / "report.json", "--browser"), 2, "report.json", "damaged")
    assert everything(dest) == before


def test_a_report_of_another_twimager_may_lack_settings_or_know_more(dest: Path) -> None:
    report = report_of(dest)
    del report["settings"]["follow_dest_links"]
    report["settings"] |= {"new": None, "another": [1, 2]}
    image = {"side": "LR", "path": "/a.png", "reason": "a new one", "detail": "", "frame": None}
    report["rejected_images"].append(image)
    (dest / "report.json").write_text(json.dumps(report))
    with Review(dest / "report.json") as review:
        review.delete(review.pairs[0])
    assert report_of(dest)["settings"] == report["settings"]


def test_a_dry_run_is_nothing_to_review(run: Run, folders: Folders) -> None:
    run(*folders.flags, "--report", "--dry")
    with pytest.raises(UsageError, match="--dry"):
        Review(folders.dest / "report.json")


def test_folders_that_become_links_meanwhile_are_refused(dest: Path) -> None:
    with Review(dest / "report.json") as review:
        real = (dest / "HR").rename(dest.with_name("real"))
        (dest / "HR").symlink_to(real)
        with pytest.raises(UsageError, match="link"):
            review.delete(review.pairs[0])
        assert len(list(real.iterdir())) == 3


def test_one_review_at_a_time_and_no_run_meanwhile(run: Run, dest: Path) -> None:
    with Review(dest / "report.json"):
        with pytest.raises(UsageError, match="at work in"):
            Review(dest / "report.json")
        assert run(*flags_of(dest), *ALL, "--resume").code == 2
    assert run(*flags_of(dest), *ALL, "--resume").code == 0


KILLED = """
import os, sys
from pathlib import Path
from twimager.review import document
from twimager.review.review import Review
from twimager.review.trash import Trash
review = Review(Path(sys.argv[1]))
review.delete(review.pairs[0])
if sys.argv[2] == "before":
    document.write_files = lambda *_, **__: os._exit(9)
elif sys.argv[2] == "after":
    Trash.restore = lambda *_: os._exit(9)
    review.undo()
review.delete(review.pairs[0])
os._exit(9)
"""


def killed(dest: Path, when: str) -> None:
    code = subprocess.run([sys.executable, "-c", KILLED, dest / "report.json", when], check=False).returncode
    assert code == 9


def test_what_a_killed_review_deleted_can_be_undone_in_the_next(dest: Path) -> None:
    before, files = documents(dest), images(dest)
    killed(dest, "")
    assert len(report_of(dest)["pairs"]) == 1
    with Review(dest / "report.json") as review:
        assert len(review.deletions) == 2
        assert review.undo().hr == json.loads(before["report.json"])["pairs"][1]["hr"]
        review.undo()
    assert (documents(dest), images(dest)) == (before, files)


def test_what_a_killed_review_deleted_is_gone_with_the_next(dest: Path) -> None:
    killed(dest, "")
    with Review(dest / "report.json"):
        pass
    assert len(images(dest)) == 2
    assert not (dest / ".twimager/trash").exists()
    first, *others = names_in_documents(dest)
    assert all(other == first for other in others)


def test_what_a_killed_review_had_half_written_is_cleared_away(dest: Path) -> None:
    before = set(contents(dest))
    (dest / ".twimager/trash/000001").mkdir(parents=True)
    for folder in (dest, dest / ".twimager/trash/000001"):
        (folder / ".twimager-review-0.tmp").write_bytes(b"half")
    with Review(dest / "report.json") as review:
        assert review.undo() is None
    assert set(contents(dest)) == before


@pytest.mark.parametrize(("when", "left"), [("before", 2), ("after", 3)])
def test_the_report_is_true_after_a_decision_that_was_half_done(dest: Path, when: str, left: int) -> None:
    killed(dest, when)
    assert len(report_of(dest)["pairs"]) == left
    with Review(dest / "report.json") as review:
        assert all(path.is_file() for pair in review.pairs for path in review.outputs(pair))
    assert len(images(dest)) == 2 * left


@pytest.mark.parametrize(
    "spoil",
    [lambda _: None, lambda _: b"", lambda data: data[:100], lambda data: data + b'{"lr": 1, "hr": 2, "files": 3}\n'],
    ids=["gone", "empty", "cut", "damaged"],
)
def test_where_no_journal_can_be_resumed_decisions_are_in_the_report_only(
    dest: Path, spoil: Callable[[bytes], bytes | None]
) -> None:
    journal = dest / ".twimager/journal.jsonl"
    left = spoil(journal.read_bytes())
    if left is None:
        journal.unlink()
    else:
        journal.write_bytes(left)
    with Review(dest / "report.json") as review:
        review.delete(review.pairs[0])
    assert len(report_of(dest)["pairs"]) == 2
    assert (journal.read_bytes() if journal.exists() else None) == left


def test_a_decision_that_cannot_be_kept_is_none(dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(dest)
    with Review(dest / "report.json") as review:
        monkeypatch.setattr("twimager.output.atomic.sync_file", full)
        for decide in (review.delete, lambda pair: review.accept(pair, True)):
            with pytest.raises(TwimagerError, match=r"can't go on: .*No space") as error:
                decide(review.pairs[0])
            assert error.value.exit_code == 1
            after = contents(dest)
            assert {**after, ".twimager/lock": b""} == {**before, ".twimager/lock": b""}


def test_a_decision_that_is_interrupted_is_none(dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files, before = atomic.write_files, (documents(dest), images(dest))

    def interrupted(files: dict[Path, bytes], *arguments: Any, **settings: Any) -> None:
        write_files(files, *arguments, **settings)
        monkeypatch.setattr("twimager.review.document.write_files", write_files)
        raise KeyboardInterrupt

    for decide in (lambda review: review.delete(review.pairs[0]), Review.undo):
        with Review(dest / "report.json") as review:
            if decide is Review.undo:
                review.delete(review.pairs[0])
                before = documents(dest), images(dest)
            monkeypatch.setattr("twimager.review.document.write_files", interrupted)
            with pytest.raises(KeyboardInterrupt):
                decide(review)
            assert documents(dest)["report.json"] == before[0]["report.json"]
            assert images(dest) == before[1]


def full(_: int) -> None:
    raise OSError(28, "No space left on device")


def everything(folder: Path) -> dict[str, bytes]:
    """All files, the hidden ones too, without what links lead to."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def killed_once(kept: Path) -> Path:
    """What `kept` holds, after a review of it was killed."""
    now = kept.with_name("now")
    shutil.rmtree(now, ignore_errors=True)
    shutil.copytree(kept, now)
    killed(now / "out", "")
    return now.rename(kept.with_name("killed"))


@pytest.fixture
def note(killed_once: Path) -> Path:
    """The note of a deletion that a killed review has left; its DEST is the one of `dest`."""
    now = killed_once.with_name("now")
    shutil.rmtree(now, ignore_errors=True)
    return shutil.copytree(killed_once, now) / "out/.twimager/trash/000001/deleted.json"


def with_value(key: str, value: Any) -> Callable[[Path], None]:
    def spoil(note: Path) -> None:
        note.write_text(json.dumps({**json.loads(note.read_text()), key: value}))

    return spoil


def with_pair(key: str, value: Any) -> Callable[[Path], None]:
    def spoil(note: Path) -> None:
        pair = {**json.loads(note.read_text())["pair"], key: value}
        with_value("pair", pair)(note)

    return spoil


def with_text(text: str) -> Callable[[Path], None]:
    return lambda note: (note.write_text(text), None)[1]


def kept_link(note: Path) -> None:
    """A file in the trash that is a link."""
    file = next((note.parent / "HR").iterdir())
    file.unlink()
    file.symlink_to(note.parents[4] / "victim/file")


def kept_folder_link(note: Path) -> None:
    shutil.rmtree(note.parent / "HR")
    (note.parent / "HR").symlink_to(note.parents[4] / "victim")


def note_link(note: Path) -> None:
    note.rename(note.parents[4] / "note.json")
    note.symlink_to(note.parents[4] / "note.json")


def folder_link(note: Path) -> None:
    shutil.rmtree(note.parent)
    note.parent.symlink_to(note.parents[4] / "victim")


FOREIGN = {
    "a number above": with_value("number", "../../../victim"),
    "a number outside": with_value("number", "/victim"),
    "another number": with_value("number", 2),
    "a number as text": with_value("number", "1"),
    "a true number": with_value("number", True),
    "a number without end": with_value("number", 10**400),
    "a place as text": with_value("place", "0"),
    "a place before the first": with_value("place", -1),
    "a place beyond all": with_value("place", 10**30),
    "no files": with_value("files", None),
    "a file above": with_value("files", ["../../../../victim/file"]),
    "a file by its path": with_value("files", ["/etc/passwd"]),
    "a folder": with_value("files", ["HR"]),
    "a dot": with_value("files", ["HR/."]),
    "two dots": with_value("files", ["HR/.."]),
    "a file in a folder": with_value("files", ["HR/../HR/h0.png"]),
    "a file of another pair": with_value("files", ["HR/h2.png"]),
    "a file twice": with_value("files", ["HR/h0.png", "HR/h0.png"]),
    "a number for a file": with_value("files", [1]),
    "an output above": with_pair("hr_output", "../../victim/file"),
    "numbers as text": with_pair("residual", "0.1"),
    "no window": with_pair("window", None),
    "one more key": with_value("more", 1),
    "no JSON": with_text("{"),
    "no text": with_text("\x00"),
    "no object": with_text("[]"),
    "a nest": with_text("[" * 100_000),
    "a file that is a link": kept_link,
    "a folder that is a link": kept_folder_link,
    "a note that is a link": note_link,
    "a deletion that is a link": folder_link,
}


@links
@pytest.mark.parametrize("spoil", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_deletion_that_is_none_is_left_alone_and_named(note: Path, spoil: Callable[[Path], None]) -> None:
    dest = note.parents[3]
    (dest.parent / "victim").mkdir(exist_ok=True)
    (dest.parent / "victim/file").write_text("theirs")
    spoil(note)
    before = everything(dest.parent)
    warnings: list[str] = []
    with suppress(KeyboardInterrupt), Review(dest / "report.json", warnings.append) as review:
        assert len(warnings) == 1
        assert "left alone" in warnings[0]
        assert len(review.deletions) == 1
        review.delete(review.pairs[0])
        raise KeyboardInterrupt
    left = ("out/.twimager/trash/000001/", "low/", "high/", "victim/", "note.json")
    kept = {name: data for name, data in before.items() if name.startswith(left)}
    after = everything(dest.parent)
    assert {name: after.get(name) for name in kept} == kept
    assert after.keys() - kept.keys() == set(DOCUMENTS)
    assert [path.name for path in note.parents[1].iterdir()] == ["000001"]


def test_what_lies_in_the_trash_and_is_of_no_deletion_stays(note: Path) -> None:
    dest = note.parents[3]
    for name in ("mine.txt", "HR/mine.png"):
        (note.parent / name).write_text("mine")
    (note.parents[1] / "000009").mkdir()
    (note.parents[1] / "000009/mine.txt").write_text("mine")
    warnings: list[str] = []
    with Review(dest / "report.json", warnings.append) as review:
        assert len(review.deletions) == 2
    assert len(warnings) == 1
    assert everything(note.parents[1]) == {
        "000001/mine.txt": b"mine",
        "000001/HR/mine.png": b"mine",
        "000009/mine.txt": b"mine",
    }


def test_a_trash_that_becomes_a_link_meanwhile_is_not_emptied(dest: Path) -> None:
    with Review(dest / "report.json") as review:
        review.delete(review.pairs[0])
        trash = (dest / ".twimager/trash").rename(dest.with_name("elsewhere"))
        (dest / ".twimager/trash").symlink_to(trash)
        before = everything(trash)
    assert everything(trash) == before != {}


def test_the_command_names_what_it_leaves_alone(run: Run, note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dest = note.parents[3]
    with_value("number", "../../../victim")(note)
    monkeypatch.setattr("twimager.web.server.LocalServer.run", lambda *_: None)
    outcome = run("review", dest / "report.json", "--browser")
    assert (outcome.code, outcome.out) == (0, "pairs accepted: 0, deleted: 1, undecided: 1\n")
    assert outcome.err == f"{note.parent} is not as a review leaves it; what is in it is left alone\n"


def test_undo_never_replaces_a_file(dest: Path) -> None:
    with Review(dest / "report.json") as review:
        lr, hr = review.outputs(review.pairs[0])
        review.delete(review.pairs[0])
        hr.write_bytes(b"theirs")
        with pytest.raises(TwimagerError, match="is there already"):
            review.undo()
        assert len(report_of(dest)["pairs"]) == 2
        assert hr.read_bytes() == b"theirs"
        assert not lr.exists()
        hr.unlink()
        review.undo()
        assert lr.exists()
        assert len(report_of(dest)["pairs"]) == 3


@pytest.mark.parametrize("unfinished", [False, True])
def test_a_resumed_run_keeps_to_what_was_decided(run: Run, dest: Path, unfinished: bool) -> None:
    if unfinished:
        journal = dest / ".twimager/journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    with Review(dest / "report.json") as review:
        gone, back, undecided = review.pairs
        for pair in (gone, back):
            review.delete(pair)
        review.undo()
        for pair, accepted in ((back, True), (undecided, True), (undecided, False)):
            review.accept(pair, accepted)
    before = images(dest)
    outcome = run(*flags_of(dest), *ALL, "--resume")
    assert outcome.code == 0
    assert "pairs written: 2\nLR left without a pair: 1 (1 " in outcome.out
    assert images(dest) == before
    assert len(before) == 4
    first, *others = names_in_documents(dest)
    assert all(other == first for other in others)
    assert Path(gone.hr).name not in first
    assert [pair["lr"] for pair in report_of(dest)["pairs"] if pair["accepted"]] == [back.lr]
    (down,) = [pair for pair in report_of(dest)["rejected_pairs"] if pair["reason"] == "skipped by hand"]
    assert (down["lr"], down["detail"]) == (gone.lr, "deleted in a review")


@pytest.mark.parametrize("report_is_there", [True, False])
def test_a_resumed_run_counts_what_is_left(run: Run, dest: Path, report_is_there: bool) -> None:
    with Review(dest / "report.json") as review:
        review.delete(review.pairs[0])
    if not report_is_there:
        (dest / "report.json").unlink()
    for _ in range(2):
        found = json.loads(run(*flags_of(dest), "--resume", "--json").out)
        assert (found["pairs"], sum(found["lr_left"].values()), sum(found["hr_left"].values())) == (2, 1, 1)


def test_a_resumed_run_of_which_nothing_is_left_has_no_pair(run: Run, dest: Path) -> None:
    with Review(dest / "report.json") as review:
        for pair in list(review.pairs):
            review.delete(pair)
    outcome = run(*flags_of(dest), "--resume")
    assert outcome.code == 4
    assert outcome.out.startswith("pairs written: 0\nLR left without a pair: 3 (3 skipped by hand)\n")


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_names_that_are_no_text(run: Run, folders: Folders) -> None:
    (folders.hr / "h0.png").rename(folders.hr / os.fsdecode(b"caf\xe9.png"))
    run(*folders.flags, *ALL)
    before = documents(folders.dest), images(folders.dest)
    with Review(folders.dest / "report.json") as review:
        for pair in list(review.pairs):
            review.delete(pair)
        while review.undo():
            pass
    assert (documents(folders.dest), images(folders.dest)) == before
