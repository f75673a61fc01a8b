"""Stills and a film in, pairs out: each of a still and the very frame that it is."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, NamedTuple

import av
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

# LR frames of scenes that both have, of pans and of one in which a thing moves before what stands still.
FRAMES = (60, 100, 200, 240)


class Release(NamedTuple):
    """A film, stills of another release of it by the numbers of their frames, and the frames that those are."""

    film: Path
    stills: dict[int, np.ndarray[Any, Any]]
    truth: dict[int, dict[str, str]]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    folder, rng = tmp_path_factory.mktemp("release"), np.random.default_rng(1)
    scenes = films.photo_scenes(films.PHOTOS, 6, (384, 216), rng)
    films.make(next(kind for kind in films.KINDS if kind.name == "recut"), scenes, folder, 2, rng)
    with (folder / "truth.csv").open() as file:
        truth = {int(row["lr_frame"]): row for row in csv.DictReader(file)}
    with av.open(str(next(folder.glob("lr.*")))) as container:
        stills = {number: one.to_ndarray(format="bgr24") for number, one in enumerate(container.decode(video=0))}
    return Release(folder / "hr.mkv", stills, truth)


def lacked(release: Release) -> int:
    """Return the number of a still of a scene that the film lacks."""
    return next(n for n, row in release.truth.items() if row["counted"] == "1" and int(row["hr_frame"]) < 0) + 10


def save(folder: Path, stills: dict[int, Any]) -> Path:
    """Write stills as JPEG under their numbers."""
    folder.mkdir(parents=True)
    for number, still in stills.items():
        cv2.imwrite(str(folder / f"{number}.jpg"), still, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return folder


def cropped(still: Any) -> Any:
    """Return a still without a tenth of either side."""
    height, width = still.shape[:2]
    return still[height // 20 : -height // 20, width // 30 : -width // 15]


@pytest.fixture
def stills(release: Release, tmp_path: Path) -> Path:
    chosen = *FRAMES, lacked(release)
    return save(tmp_path / "stills", {number: cropped(release.stills[number]) for number in chosen})


def is_right(release: Release, still: str, frame: dict[str, Any]) -> bool:
    row = release.truth[int(Path(still).stem)]
    return abs(int(row["hr_frame"]) - frame["number"]) <= (row["moving"] == "0")


def test_a_still_is_paired_with_the_frame_that_it_is(run: Run, release: Release, stills: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    outcome = run("--lr", stills, "--hr", release.film, "--dest", dest, "--report")
    assert outcome.code == 0, outcome.err
    report = report_of(dest)
    VALIDATOR.validate(report)
    assert sorted(int(Path(pair["lr"]).stem) for pair in report["pairs"]) == sorted(FRAMES)
    assert all(pair["lr_frame"] is None for pair in report["pairs"])
    assert all(is_right(release, pair["lr"], pair["hr_frame"]) for pair in report["pairs"])
    assert [Path(image["path"]).stem for image in report["rejected_images"]] == [str(lacked(release))]
    assert all(Path(name).stem.startswith("hr_00h00m") for name in images(dest))
    assert {path.name for path in (dest / ".twimager").iterdir()} == {"journal.jsonl", "lock"}
    assert len(list(stills.iterdir())) == len(FRAMES) + 1
    shown = Parsed((dest / "report.html").read_bytes()).data
    assert shown["run"]["files"] == ["report.json", "pairs.csv"]
    assert not (dest / "timeline.csv").exists()
    assert all(pair["moment"].startswith("HR 0:00:") for pair in shown["pairs"])


def test_an_hr_still_is_paired_with_the_frame_of_an_lr_film(run: Run, release: Release, tmp_path: Path) -> None:
    shown = {n: cv2.resize(release.stills[n], None, fx=3, fy=3) for n in (*FRAMES, lacked(release))}
    stills, dest = save(tmp_path / "stills", shown), tmp_path / "out"
    outcome = run("--lr", release.film, "--hr", stills, "--dest", dest, "--report", "--scale", 1)
    assert outcome.code == 0, outcome.err
    report = report_of(dest)
    assert sorted(int(Path(pair["hr"]).stem) for pair in report["pairs"]) == sorted(FRAMES)
    assert all(is_right(release, pair["hr"], pair["lr_frame"]) for pair in report["pairs"])
    assert all(pair["hr_frame"] is None for pair in report["pairs"])
    assert {image["side"] for image in report["rejected_images"]} == {"HR"}


def test_of_several_videos_the_one_that_has_the_still_is_found(
    run: Run, release: Release, stills: Path, tmp_path: Path
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "first.mkv").symlink_to(release.film)
    write_video(videos / "second.mkv", moving(40, (384, 216)))
    (videos / "broken.mkv").write_bytes(b"no video")
    (videos / "cover.jpg").write_bytes(b"no picture")
    (stills / "broken.jpg").write_bytes(b"no picture")
    (stills / "notes.txt").write_bytes(b"text")
    outcome = run("--lr", stills, "--hr", videos, "--dest", tmp_path / "out", "--report")
    assert outcome.code == 3
    assert "broken.mkv: is" in outcome.err
    report = report_of(tmp_path / "out")
    assert {Path(pair["hr_frame"]["video"]).name for pair in report["pairs"]} == {"first.mkv"}
    assert len(report["pairs"]) == len(FRAMES)
    reasons = {Path(image["path"]).name: image["reason"] for image in report["rejected_images"]}
    assert reasons["broken.mkv"] == reasons["broken.jpg"] == "unreadable"
    assert reasons["notes.txt"] == "unsupported format"


def test_stills_of_one_frame_are_one_pair(run: Run, release: Release, tmp_path: Path) -> None:
    stills = save(tmp_path / "stills", {FRAMES[0]: release.stills[FRAMES[0]]})
    (stills / "copy.jpg").write_bytes((stills / f"{FRAMES[0]}.jpg").read_bytes())
    outcome = run("--lr", stills, "--hr", release.film, "--dest", tmp_path / "out", "--report")
    assert outcome.code == 0, outcome.err
    report = report_of(tmp_path / "out")
    (pair,) = report["pairs"]
    assert is_right(release, f"{FRAMES[0]}", pair["hr_frame"])
    assert [image["reason"] for image in report["rejected_images"]] == ["similar but rejected"]


def test_a_part_of_the_film_is_searched(run: Run, release: Release, stills: Path, tmp_path: Path) -> None:
    outcome = run("--lr", stills, "--hr", release.film, "--dest", tmp_path / "out", "--report", "--to", "0:03")
    assert outcome.code == 0, outcome.err
    pairs = report_of(tmp_path / "out")["pairs"]
    assert 0 < len(pairs) < len(FRAMES)
    assert all(pair["hr_frame"]["seconds"] <= 3 for pair in pairs)


def test_a_dry_run_writes_nothing(run: Run, release: Release, stills: Path, tmp_path: Path) -> None:
    outcome = run("--lr", stills, "--hr", release.film, "--dest", tmp_path / "out", "--dry")
    assert outcome.code == 0
    assert f"pairs found: {len(FRAMES)}" in outcome.out
    assert not (tmp_path / "out").exists()


def test_frames_are_kept_and_pairs_limited_where_asked_for(
    run: Run, release: Release, stills: Path, tmp_path: Path
) -> None:
    flags = "--lr", stills, "--hr", release.film, "--dest", tmp_path / "out"
    assert run(*flags, "--limit", 2, "--keep_frames").code == 0
    assert list((tmp_path / "out/.twimager/frames").rglob("*.png"))
    assert len(images(tmp_path / "out")) == 4


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_files(
    run: Run, release: Release, stills: Path, tmp_path: Path
) -> None:
    flags = "--lr", stills, "--hr", release.film
    assert run(*flags, "--dest", tmp_path / "whole").code == 0
    with interrupted_when_written():
        assert run(*flags, "--dest", tmp_path / "out").code == 130
    assert list((tmp_path / "out/.twimager/signatures").iterdir())
    assert run(*flags, "--dest", tmp_path / "out", "--resume").code == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.parametrize("chosen", [("--frames", 5), ("--per_shot", 1), ("--every", 2)])
def test_frames_are_not_chosen_where_stills_are_the_choice(
    run: Run, release: Release, stills: Path, tmp_path: Path, chosen: tuple[Any, ...]
) -> None:
    flags = "--lr", stills, "--hr", release.film, "--dest", tmp_path / "out"
    refused(run(*flags, *chosen), 2, "--every, --clips: with stills")


def test_where_nothing_is_found_nothing_is_left(run: Run, release: Release, tmp_path: Path) -> None:
    stills = save(tmp_path / "stills", {lacked(release): release.stills[lacked(release)]})
    assert run("--lr", stills, "--hr", release.film, "--dest", tmp_path / "out").code == 4
    assert {path.name for path in (tmp_path / "out/.twimager").iterdir()} == {"journal.jsonl", "lock"}
