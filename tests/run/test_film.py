"""Two videos in, pairs out: each of an LR frame and the HR frame of the same moment."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks import films
from tests.support.command import Run, refused
from tests.support.folders import contents, images
from tests.support.interruption import interrupted_when_written
from tests.support.page import Parsed
from tests.support.report import VALIDATOR, report_of
from tests.support.videos import moving, write_video
from twimager.video.signatures import make_signatures

FEW = "--per_shot", 1, "--frames", 6


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two releases of a film, another cut and sped up, and the truth of its frames."""
    folder, rng = tmp_path_factory.mktemp("release"), np.random.default_rng(1)
    scenes = films.photo_scenes(films.PHOTOS, 6, (384, 216), rng)
    films.make(next(kind for kind in films.KINDS if kind.name == "recut"), scenes, folder, 2, rng)
    return folder


@pytest.fixture
def flags(release: Path, tmp_path: Path) -> tuple[Any, ...]:
    return "--lr", next(release.glob("lr.*")), "--hr", release / "hr.mkv", "--dest", tmp_path / "out"


def test_pairs_are_of_the_same_moment(run: Run, release: Path, flags: tuple[Any, ...], tmp_path: Path) -> None:
    outcome = run(*flags, *FEW, "--report")
    assert outcome.code == 0, outcome.err
    report = report_of(tmp_path / "out")
    VALIDATOR.validate(report)
    with (release / "truth.csv").open() as file:
        truth = {int(row["lr_frame"]): row for row in csv.DictReader(file)}
    assert 4 <= len(report["pairs"]) <= 6
    for pair in report["pairs"]:
        row = truth[pair["lr_frame"]["number"]]
        right = {int(row["hr_frame"]), int(row["hr_other"])}
        slack = 0 if row["moving"] == "1" else 1
        assert min(abs(pair["hr_frame"]["number"] - one) for one in right) <= slack, row
    assert "colours not tagged: taken as bt601, limited range" in {note["note"] for note in report["notes"]}
    (timeline,) = report["timelines"]
    assert len(timeline["segments"]) > 1
    assert timeline["left_out"]["that the other does not have"] > 0
    table = (tmp_path / "out/timeline.csv").read_text().splitlines()
    assert len(table) == 1 + len(timeline["segments"])
    files = Parsed((tmp_path / "out/report.html").read_bytes()).data["run"]["files"]
    assert files == ["report.json", "pairs.csv", "timeline.csv"]
    assert all((tmp_path / "out" / file).is_file() for file in files)


@pytest.mark.slow
def test_files_are_called_after_their_moments_and_no_frame_is_left(
    run: Run, flags: tuple[Any, ...], tmp_path: Path
) -> None:
    assert run(*flags, *FEW).code == 0
    names = sorted(images(tmp_path / "out"))
    assert all(Path(name).stem.startswith("hr_00h00m") for name in names)
    assert {path.name for path in (tmp_path / "out/.twimager").iterdir()} == {"journal.jsonl", "lock"}


def test_what_others_put_beside_signatures_and_frames_is_kept(run: Run, flags: tuple[Any, ...], tmp_path: Path) -> None:
    theirs = [tmp_path / "out/.twimager" / name for name in ("signatures/notes.txt", "frames/draft.tmp")]
    for path in theirs:
        path.parent.mkdir(parents=True)
        path.write_text("theirs")
    assert run(*flags, *FEW, "--overwrite").code == 0
    assert [path.read_text() for path in theirs] == ["theirs", "theirs"]


def test_frames_are_kept_where_asked_for_and_a_part_is_chosen(run: Run, flags: tuple[Any, ...], tmp_path: Path) -> None:
    assert run(*flags, *FEW, "--from", "0:03", "--to", "0:06.5", "--every", 1, "--keep_frames", "--report").code == 0
    kept = {path.name for path in (tmp_path / "out/.twimager/frames").rglob("*.png")}
    pairs = report_of(tmp_path / "out")["pairs"]
    assert {Path(pair["lr"]).name for pair in pairs} <= kept
    assert all(3 <= pair["lr_frame"]["seconds"] <= 6.6 for pair in pairs)


def rejected(dest: Path) -> list[dict[str, Any]]:
    """Return the frames that the page shows as rejected, and those that came closest to them."""
    shown = Parsed((dest / "report.html").read_bytes()).data
    frames = [frame for image in shown["rejected"] for frame in (image, image["closest"])]
    assert frames
    assert all(shown["thumbnails"][frame["image"]] for frame in frames)
    return frames


def test_rejected_frames_have_their_moments_and_no_links_to_what_is_gone(
    run: Run, flags: tuple[Any, ...], tmp_path: Path
) -> None:
    dest = tmp_path / "out"
    assert run(*flags, *FEW, "--max_error", 0.0001, "--report").code == 4
    report = report_of(dest)
    VALIDATOR.validate(report)
    for pair in report["rejected_pairs"]:
        assert (Path(pair["lr_frame"]["video"]), Path(pair["hr_frame"]["video"])) == (flags[1], flags[3])
    of_lr = {pair["lr"]: pair["lr_frame"] for pair in report["rejected_pairs"]}
    assert all(of_lr[image["path"]] == image["frame"] for image in report["rejected_images"])
    before = rejected(dest)
    assert all(re.fullmatch(r"LR 0:00:\d\d\.\d{3} = HR 0:00:\d\d\.\d{3}", frame["moment"]) for frame in before[1::2])
    assert [(frame["file"], frame["gone"]) for frame in before] == [("", True)] * len(before)
    dest.rename(tmp_path / "elsewhere")
    assert run("gallery", tmp_path / "elsewhere/report.json").code == 0
    assert len(rejected(tmp_path / "elsewhere")) == len(before)


@pytest.mark.slow
def test_rejected_frames_that_are_kept_are_linked_to(run: Run, flags: tuple[Any, ...], tmp_path: Path) -> None:
    assert run(*flags, *FEW, "--max_error", 0.0001, "--report", "--keep_frames").code == 4
    assert all((tmp_path / "out" / frame["file"]).is_file() for frame in rejected(tmp_path / "out"))


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_files(run: Run, flags: tuple[Any, ...], tmp_path: Path) -> None:
    assert run(*flags[:4], "--dest", tmp_path / "whole", *FEW).code == 0
    with interrupted_when_written():
        assert run(*flags, *FEW).code == 130
    assert list((tmp_path / "out/.twimager/signatures").iterdir())
    assert run(*flags, *FEW, "--resume").code == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_video_that_was_saved_is_not_read_again(
    run: Run, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lr = shutil.copy(next(release.glob("lr.*")), tmp_path)
    flags = ("--lr", lr, "--hr", release / "hr.mkv", *FEW, "--save", tmp_path / "store.sqlite")
    assert run(*flags, "--dest", tmp_path / "first").code == 0
    read: list[str] = []

    def counted(path: Path, *rest: Any) -> Any:
        read.append(path.name)
        return make_signatures(path, *rest)

    monkeypatch.setattr("twimager.video.matching.make_signatures", counted)
    assert run(*flags, "--dest", tmp_path / "second").code == 0
    assert read == []
    assert contents(tmp_path / "second/HR") == contents(tmp_path / "first/HR")
    os.utime(lr, (1, 1))
    assert run(*flags, "--dest", tmp_path / "third").code == 0
    assert read == [Path(lr).name]


def test_signatures_that_were_damaged_where_they_were_saved_are_made_anew(
    run: Run, flags: tuple[Any, ...], tmp_path: Path
) -> None:
    store = tmp_path / "store.sqlite"
    assert run(*flags, *FEW, "--save", store).code == 0
    with closing(sqlite3.connect(store)) as known, known:
        assert known.execute("UPDATE entries SET value = x'00' WHERE kind LIKE 'signatures%'").rowcount == 4
    assert run(*flags[:4], "--dest", tmp_path / "second", *FEW, "--save", store).code == 0
    assert contents(tmp_path / "second/HR") == contents(tmp_path / "out/HR")


def test_a_dry_run_writes_nothing(run: Run, flags: tuple[Any, ...], tmp_path: Path) -> None:
    outcome = run(*flags[:4], *FEW, "--dry", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["pairs"] > 3
    assert not (tmp_path / "out").exists()


def test_a_dry_run_leaves_the_report_alone(run: Run, flags: tuple[Any, ...], tmp_path: Path) -> None:
    assert run(*flags, *FEW, "--dry", "--report").code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"report.json", "timeline.csv"}
    assert not images(tmp_path / "out")


def test_pairs_are_split(run: Run, flags: tuple[Any, ...], tmp_path: Path) -> None:
    outcome = run(*flags, *FEW, "--split", 0.7)
    assert outcome.code == 0, outcome.err
    assert all(list((tmp_path / "out" / part / "HR").iterdir()) for part in ("train", "val"))


def test_where_no_frame_is_chosen_nothing_is_left(run: Run, flags: tuple[Any, ...], tmp_path: Path) -> None:
    outcome = run(*flags, "--from", "1:00:00")
    assert outcome.code == 4
    assert "outside of --from and --to" in outcome.err
    assert {path.name for path in (tmp_path / "out/.twimager").iterdir()} == {"journal.jsonl", "lock"}


@pytest.mark.slow
def test_of_folders_each_video_finds_its_own_and_other_files_are_passed_over(
    run: Run, release: Path, tmp_path: Path
) -> None:
    pan = moving(60, (384, 216))
    others = {"lr": [cv2.resize(frame, (192, 108), interpolation=cv2.INTER_AREA) for frame in pan], "hr": pan}
    for side, (film, other) in {"lr": "ab", "hr": "ba"}.items():
        folder = tmp_path / side
        folder.mkdir()
        (folder / f"{film}.mkv").write_bytes(next(release.glob(f"{side}.*")).read_bytes())
        write_video(folder / f"{other}.mkv", others[side])
        (folder / "cover.jpg").write_bytes(b"")
        (folder / "notes.txt").write_bytes(b"text")
    flags = "--lr", tmp_path / "lr", "--hr", tmp_path / "hr", "--dest", tmp_path / "out"
    outcome = run(*flags, *FEW, "--report")
    assert outcome.code == 0, outcome.err
    together = {(Path(one["lr"]).name, Path(one["hr"]).name) for one in report_of(tmp_path / "out")["timelines"]}
    assert together == {("a.mkv", "b.mkv"), ("b.mkv", "a.mkv")}


@pytest.mark.slow
def test_frames_of_another_run_are_not_taken_for_those_of_this(
    run: Run, flags: tuple[Any, ...], tmp_path: Path
) -> None:
    assert run(*flags, *FEW, "--keep_frames").code == 0
    before, frames = contents(tmp_path / "out"), tmp_path / "out/.twimager/frames"
    for frame in frames.rglob("*.png"):
        cv2.imwrite(str(frame), np.zeros((9, 9, 3), np.uint8))
    (tmp_path / "out/.twimager/signatures").mkdir()
    (tmp_path / "out/.twimager/signatures/0123456789abcdef.part").write_bytes(b"of a run that was killed")
    assert run(*flags, *FEW, "--overwrite").code == 0
    assert contents(tmp_path / "out") == before
    assert {path.name for path in (tmp_path / "out/.twimager").iterdir()} == {"journal.jsonl", "lock"}


def test_what_is_in_the_way_is_said_in_a_line(run: Run, flags: tuple[Any, ...], tmp_path: Path) -> None:
    (tmp_path / "out/.twimager").mkdir(parents=True)
    (tmp_path / "out/.twimager/signatures").write_bytes(b"")
    outcome = run(*flags, "--overwrite")
    assert outcome.code == 1
    assert "cannot write" in outcome.err.splitlines()[-1]


@pytest.mark.slow
def test_names_tell_videos_of_one_stem_apart_by_their_folders(run: Run, tmp_path: Path) -> None:
    pan = moving(40, (384, 216))
    for folder, shown in {"one": pan, "two": [np.flipud(frame) for frame in pan]}.items():
        for side, width in (("lr", 192), ("hr", 384)):
            (tmp_path / side / folder).mkdir(parents=True)
            sized = [cv2.resize(frame, (width, width * 9 // 16), interpolation=cv2.INTER_AREA) for frame in shown]
            write_video(tmp_path / side / folder / "film.mkv", sized)
    flags = "--lr", tmp_path / "lr", "--hr", tmp_path / "hr", "--dest", tmp_path / "out", "--recursive"
    outcome = run(*flags, *FEW)
    assert outcome.code == 0, outcome.err
    names = {path.name.split("_film_")[0] for path in (tmp_path / "out/HR").iterdir()}
    assert names == {"one_film.mkv", "two_film.mkv"}


@pytest.mark.slow
def test_a_full_disk_ends_the_run_in_a_line(run: Run, flags: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    outcome = run(*flags, *FEW)
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1].endswith("make room and add --resume, or choose another --dest")


@pytest.mark.slow
def test_a_mask_is_as_large_as_the_frames(run: Run, flags: tuple[Any, ...], tmp_path: Path) -> None:
    mask = np.full((216, 384), 255, np.uint8)
    mask[:20] = 0
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    assert run(*flags, *FEW, "--hr_mask", tmp_path / "mask.png").code == 0
    cv2.imwrite(str(tmp_path / "other.png"), mask[:100])
    refused(run(*flags, "--overwrite", "--hr_mask", tmp_path / "other.png"), 2, "--hr_mask", "no image has these")


def test_an_lr_whose_hr_frames_cannot_be_decoded_is_said(
    run: Run, flags: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twimager.run import film

    read_frames = film.read_frames

    def late_ones(path: Path, pts: list[int], *others: Any, **more: Any) -> Any:
        damaged = path.name == "hr.mkv"
        return (one for one in read_frames(path, pts, *others, **more) if one[0] > 5000 * damaged)

    monkeypatch.setattr(film, "read_frames", late_ones)
    outcome = run(*flags, *FEW)
    assert outcome.code == 3
    assert "files that could not be read" in outcome.out
    assert images(tmp_path / "out")


@pytest.mark.slow
def test_a_long_name_is_cut(run: Run, release: Path, flags: tuple[Any, ...], tmp_path: Path) -> None:
    hr = tmp_path / f"{'h' * 240}.mkv"
    hr.symlink_to(release / "hr.mkv")
    outcome = run(*flags[:2], "--hr", hr, *flags[4:], *FEW)
    assert outcome.code == 0, outcome.err


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or sys.platform == "darwin", reason="names are Unicode there")
def test_a_name_that_is_no_text_is_reported(run: Run, release: Path, flags: tuple[Any, ...], tmp_path: Path) -> None:
    hr = tmp_path / os.fsdecode(b"bad\xff.mkv")
    hr.symlink_to(release / "hr.mkv")
    outcome = run(*flags[:2], "--hr", hr, *flags[4:], *FEW, "--report")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "out/timeline.csv").is_file()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--search", "names"), "--search names: frames of videos are paired by their time map"),
        (("--from", "soon"), "'soon' is no time"),
        (("--lr", "missing.mkv"), "there is no video missing.mkv"),
    ],
)
def test_what_does_not_fit_videos_is_refused(
    run: Run, flags: tuple[Any, ...], more: tuple[str, ...], message: str
) -> None:
    refused(run(*flags, *more), 2, message)


def test_one_file_twice_is_refused(run: Run, release: Path, tmp_path: Path) -> None:
    flags = "--lr", release / "hr.mkv", "--hr", release / "hr.mkv", "--dest", tmp_path / "out"
    refused(run(*flags), 2, "named twice")


@pytest.mark.parametrize("data", [b"", b"no video at all\n" * 99])
def test_what_is_no_video_is_named(run: Run, release: Path, tmp_path: Path, data: bytes) -> None:
    bad = tmp_path / "bad.mkv"
    bad.write_bytes(data)
    outcome = run("--lr", bad, "--hr", release / "hr.mkv", "--dest", tmp_path / "out")
    assert outcome.code == 4
    assert "bad.mkv: is" in outcome.err
    assert "files that could not be read: 1" in outcome.out


def test_videos_with_nothing_in_common_are_no_pairs(run: Run, release: Path, tmp_path: Path) -> None:
    other = write_video(tmp_path / "other.mkv", [frame[::-1] for frame in moving(60)])
    outcome = run("--lr", other, "--hr", release / "hr.mkv", "--dest", tmp_path / "out")
    assert outcome.code == 4
    assert "has anything in common" in outcome.err
