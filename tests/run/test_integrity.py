"""What `verify` finds in a DEST: every file that is not as it was written, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.command import Run, refused
from tests.support.folders import Folders, contents
from twimager.output.layout import JOURNALS
from twimager.report.ledger import Ledger
from twimager.review.review import Review
from twimager.run.journal_lines import JOURNAL

UNKNOWN = "in neither journal nor report"


@pytest.fixture
def written(run: Run, folders: Folders) -> Folders:
    assert run(*folders.flags, "--report", "--meta_info").code == 0
    return folders


def found(run: Run, dest: Path) -> tuple[int, dict[str, str]]:
    """What verify prints of each file, and its exit code."""
    outcome = run("verify", dest, "--json", "--quiet")
    assert outcome.err == ""
    printed = json.loads(outcome.out)
    assert printed["exit_code"] == outcome.code
    differences = {one["file"]: one["problem"] for one in printed["differences"]}
    assert len(differences) == len(printed["differences"])
    return outcome.code, differences


def change_report(dest: Path, old: str, new: str) -> None:
    path = dest / "report.json"
    path.write_text(path.read_text().replace(old, new))


def test_what_a_run_has_written_matches(run: Run, written: Folders) -> None:
    outcome = run("verify", written.dest)
    assert outcome == (0, "files in the journal: 4, of 2 pairs\ndifferences: 0\n", "")
    assert run("verify", written.dest, "--quiet") == (0, "", "")


@pytest.mark.parametrize("flags", [(), ("--report",)])
@pytest.mark.parametrize("output", ["all", "hr", "lr"])
def test_a_copy_that_was_moved_matches_too(
    run: Run, folders: Folders, tmp_path: Path, output: str, flags: tuple[str, ...]
) -> None:
    assert run(*folders.flags, "--output", output, *flags).code == 0
    moved = tmp_path / "moved"
    shutil.copytree(folders.dest, moved)
    for folder in (folders.dest, folders.lr, folders.hr):
        shutil.rmtree(folder)
    assert found(run, moved) == (0, {})
    victim = next(path for path in moved.rglob("h1.png"))
    victim.unlink()
    (victim.parent / "new.png").write_bytes(b"new")
    names = [path.relative_to(moved).as_posix() for path in (victim, victim.parent / "new.png")]
    assert found(run, moved) == (3, dict(zip(names, ("missing", UNKNOWN), strict=True)))


def test_each_file_that_differs_is_named(run: Run, written: Folders) -> None:
    dest = written.dest
    (dest / "LR/h0.png").unlink()
    (dest / "LR/h1.png").write_bytes((dest / "LR/h1.png").read_bytes() + b"\0")
    data = bytearray((dest / "HR/h0.png").read_bytes())
    data[-20] ^= 1
    (dest / "HR/h0.png").write_bytes(data)
    (dest / "HR/sub").mkdir()
    (dest / "LR/.DS_Store").write_bytes(b"")
    before = contents(dest)
    assert found(run, dest) == (3, {
        "LR/h0.png": "missing", "LR/h1.png": "size differs", "HR/h0.png": "checksum differs",
        "HR/sub": UNKNOWN, "LR/.DS_Store": UNKNOWN,
    })  # fmt: skip
    size = len(before["LR/h1.png"])
    assert f"size differs: LR/h1.png ({size} bytes, not {size - 1})\n" in run("verify", dest, "--quiet").out
    assert contents(dest) == before
    shutil.rmtree(dest / "HR")
    code, differences = found(run, dest)
    assert (code, differences["HR/h0.png"], differences["HR/h1.png"]) == (3, "missing", "missing")


@pytest.mark.skipif(sys.platform == "win32", reason="links are for administrators there, and it has no such pipes")
def test_links_and_pipes_are_named_and_not_opened(run: Run, written: Folders, tmp_path: Path) -> None:
    dest = written.dest
    (dest / "LR/h0.png").rename(tmp_path / "h0.png")
    (dest / "LR/h0.png").symlink_to(tmp_path / "h0.png")
    (dest / "LR/h1.png").unlink()
    os.mkfifo(dest / "LR/h1.png")
    (dest / "HR").rename(tmp_path / "HR")
    (dest / "HR").symlink_to(tmp_path / "HR")
    names = ("LR/h0.png", "LR/h1.png", "HR/h0.png", "HR/h1.png", "HR")
    assert found(run, dest) == (3, dict.fromkeys(names, "unreadable"))
    for name in (f"{JOURNALS}/{JOURNAL}", JOURNALS):
        (dest / name).rename(tmp_path / "away")
        (dest / name).symlink_to(tmp_path / "away")
        refused(run("verify", dest), 2, "is a link")
        (dest / name).unlink()
        (tmp_path / "away").rename(dest / name)
    (dest / JOURNALS / JOURNAL).unlink()
    os.mkfifo(dest / JOURNALS / JOURNAL)
    refused(run("verify", dest), 2, "not a regular file")


def test_what_a_review_deleted_is_not_missed(run: Run, written: Folders) -> None:
    with Review(written.dest / "report.json") as review:
        review.delete(review.pairs[0])
    assert found(run, written.dest) == (0, {})
    assert "pairs deleted in a review: 1\n" in run("verify", written.dest).out
    (written.dest / "LR/h0.png").write_bytes(b"back")
    assert found(run, written.dest) == (3, {"LR/h0.png": UNKNOWN})
    with Review(written.dest / "report.json") as review:
        review.delete(review.pairs[0])
        review.undo()
    assert found(run, written.dest) == (3, {"LR/h0.png": UNKNOWN})


def test_a_run_that_has_not_ended_is_named_and_resume_ends_it(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "accept", stop)
        assert run(*folders.flags, "--report", "--jobs", 1).code == 130
    head = json.loads((folders.dest / JOURNALS / JOURNAL).read_text().splitlines()[0])
    (folders.dest / "LR" / f".twimager-{head['run']}-{'0' * 32}.tmp").write_bytes(b"half")
    outcome = run("verify", folders.dest)
    assert outcome.code == 0
    assert outcome.out.endswith("the run has not ended; its command with --resume goes on\n")
    assert run(*folders.flags, "--report", "--resume").code == 0
    assert json.loads(run("verify", folders.dest, "--json").out)["ended"] is True
    assert found(run, folders.dest) == (0, {})


def test_what_an_earlier_run_left_is_in_neither(run: Run, written: Folders) -> None:
    assert run(*written.flags, "--overwrite", "--report", "--prefix", "new").code == 0
    left = [f"{side}/h{number}.png" for side in ("LR", "HR") for number in range(2)]
    assert found(run, written.dest) == (3, dict.fromkeys(left, UNKNOWN))
    for name in left:
        (written.dest / name).unlink()
    assert found(run, written.dest) == (0, {})


def test_a_report_of_another_run_is_named(run: Run, written: Folders) -> None:
    assert run(*written.flags, "--overwrite", "--prefix", "new").code == 0
    code, differences = found(run, written.dest)
    assert code == 3
    assert differences == {
        f"{side}/{prefix}h{number}.png": f"not in the {other}"
        for side in ("LR", "HR") for number in range(2) for prefix, other in (("", "journal"), ("new_", "report"))
    }  # fmt: skip


def test_a_report_from_another_system_is_understood(run: Run, written: Folders) -> None:
    document = json.loads((written.dest / "report.json").read_text())
    document["settings"]["dest"] = "D:\\sets\\out"
    for pair in document["pairs"]:
        for key, side in (("lr_output", "LR"), ("hr_output", "HR")):
            pair[key] = f"D:\\sets\\out\\{side}\\{Path(pair[key]).name}"
    (written.dest / "report.json").write_text(json.dumps(document))
    assert found(run, written.dest) == (0, {})


@pytest.mark.parametrize("place", ["/etc/passwd", "{dest}/../low/l0.png", "{dest}/LR/../../low/l0.png", "{dest}/x"])
def test_a_report_that_names_other_files_is_unreadable(run: Run, written: Folders, place: str) -> None:
    target = json.dumps(place.format(dest=written.dest))[1:-1]
    change_report(written.dest, json.dumps(str(written.dest / "LR/h0.png"))[1:-1], target)
    assert found(run, written.dest) == (3, {"report.json": "unreadable"})


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b'{"schema_version": 1}', b"\xff"])
def test_a_damaged_report_is_named(run: Run, written: Folders, data: bytes) -> None:
    (written.dest / "report.json").write_bytes(data)
    assert found(run, written.dest) == (3, {"report.json": "unreadable"})


def test_what_is_no_dest_is_refused(run: Run, folders: Folders, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", folders.lr, folders.lr / "l0.png"):
        refused(run("verify", path), 2, str(path), "journal")
    assert not (folders.lr / JOURNALS).exists()
    (folders.lr / JOURNALS).mkdir()
    (folders.lr / JOURNALS / JOURNAL).write_bytes(b"")
    refused(run("verify", folders.lr), 2, "has no journal")


@pytest.mark.parametrize(
    "line",
    [
        {"lr": "a", "hr": "b", "files": {"../low/l0.png": [1, 2]}},
        {"lr": "a", "hr": "b", "files": {"/etc/passwd": [1, 2]}},
        {"lr": "a", "hr": "b", "files": {"LR/../x": [1, 2]}},
        {"lr": "a", "hr": "b", "files": {"LR/..": [1, 2]}},
        {"lr": "a", "hr": "b", "files": {"LR/a\0": [1, 2]}},
        {"lr": "a", "hr": "b", "files": {".twimager/lock": [1, 2]}},
        {"lr": "a", "hr": "b", "files": {"LR/a": [1]}},
        {"lr": "a", "files": {}},
        {"lr": "a", "hr": "b", "files": {"": [1, 2]}},
    ],
)
def test_a_journal_that_names_other_files_is_damaged(run: Run, written: Folders, line: dict) -> None:
    with (written.dest / JOURNALS / JOURNAL).open("a") as file:
        file.write(json.dumps(line) + "\n")
    refused(run("verify", written.dest), 2, "damaged")


def test_a_line_of_another_kind_is_of_a_newer_version(run: Run, written: Folders) -> None:
    with (written.dest / JOURNALS / JOURNAL).open("a") as file:
        file.write('{"lr": "a", "hr": "b", "starred": true}\n')
    assert found(run, written.dest) == (0, {})


def test_a_name_is_shown_without_control_characters(run: Run, written: Folders) -> None:
    if sys.platform == "win32":
        pytest.skip("no such names there")
    (written.dest / "LR" / "a\x1b[31m\nb").write_bytes(b"")
    out = run("verify", written.dest, "--quiet").out
    assert out.count("\n") == 1
    assert "\x1b" not in out
