"""Frames in a row of two videos around each pair: which, how aligned, which are left out, and what they are called."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks import films
from tests.support.command import Run, refused
from tests.support.folders import contents, images
from tests.support.interruption import interrupted_when_written
from tests.support.report import VALIDATOR, report_of
from tests.support.videos import moving, write_video
from twimager.report.reader import read_report
from twimager.review.review import Review
from twimager.video.frames import FrameSettings, read_frames
from twimager.video.signatures import make_signatures

CLIPS = "--clips", 7, "--per_shot", 1, "--report"


def made(kind: str, folder: Path, scenes: int) -> Path:
    rng = np.random.default_rng(1)
    drawn = films.photo_scenes(films.PHOTOS, scenes, (384, 216), rng)
    films.make(next(one for one in films.KINDS if one.name == kind), drawn, folder, 2, rng)
    return folder


@pytest.fixture(scope="module")
def recut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two releases of a film, another cut and sped up, and the truth of its frames."""
    return made("recut", tmp_path_factory.mktemp("recut"), 6)


@pytest.fixture(scope="module")
def stutter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of a film of which the LR lacks frames and has others twice."""
    return made("stutter", tmp_path_factory.mktemp("stutter"), 6)


def flags(release: Path, dest: Path) -> tuple[Any, ...]:
    return "--lr", next(release.glob("lr.*")), "--hr", release / "hr.mkv", "--dest", dest


def truth(release: Path) -> list[dict[str, str]]:
    with (release / "truth.csv").open() as file:
        return list(csv.DictReader(file))


def shift(lr: np.ndarray, hr: np.ndarray) -> float:
    small = cv2.resize(hr, lr.shape[1::-1], interpolation=cv2.INTER_AREA)
    grays = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32) for image in (lr, small)]
    return float(np.hypot(*cv2.phaseCorrelate(*grays, cv2.createHanningWindow(lr.shape[1::-1], cv2.CV_32F))[0]))


def test_clips_are_of_frames_in_a_row_and_aligned(run: Run, recut: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    outcome = run(*flags(recut, dest), *CLIPS)
    assert outcome.code == 0, outcome.err
    assert "as clips" in outcome.out
    report, rows = report_of(dest), truth(recut)
    VALIDATOR.validate(report)
    assert len(report["pairs"]) >= 3
    lr = next(recut.glob("lr.*"))
    signed = make_signatures(lr, tmp_path / "lr.npz", pytest.fail, lambda _: None)
    for pair in report["pairs"]:
        assert (pair["lr_output"], pair["hr_output"]) == (None, None)
        numbers = [(frame["lr_number"], frame["hr_number"]) for frame in pair["clip"]]
        assert numbers[3] == (pair["lr_frame"]["number"], pair["hr_frame"]["number"])
        assert [one[0] - numbers[0][0] for one in numbers] == [one[1] - numbers[0][1] for one in numbers] == [*range(7)]
        assert len({rows[number]["scene"] for number, _ in numbers}) == 1
        moves = any(rows[number]["moving"] == "1" for number, _ in numbers)
        assert all(abs(int(rows[lr]["hr_frame"]) - hr) <= (not moves) for lr, hr in numbers)
        decoded = dict(read_frames(lr, [int(signed.pts[one[0]]) for one in numbers], FrameSettings(), pytest.fail))
        x, y, width, height = pair["window"]
        for frame, (number, _) in zip(pair["clip"], numbers, strict=True):
            images = [np.asarray(cv2.imread(frame[f"{side}_output"])) for side in ("lr", "hr")]
            assert images[1].shape == (2 * height, 2 * width, 3)
            assert (images[0] == decoded[int(signed.pts[number])][y : y + height, x : x + width]).all()
            assert shift(*images) < 0.2  # a frame of these pans is a pixel or more from the next
    left_out = report["timelines"][0]["left_out"]
    assert left_out["at a cut (in their clip)"] > 0
    assert not list((dest / ".twimager").rglob("*.png"))
    assert run("verify", dest).code == 0


@pytest.mark.slow
def test_clips_with_doubled_or_missing_frames_are_left_out(run: Run, stutter: Path, tmp_path: Path) -> None:
    dest, rows = tmp_path / "out", truth(stutter)
    assert run(*flags(stutter, dest), "--clips", 5, "--per_shot", 9, "--report").code == 0
    report = report_of(dest)
    assert len(report["pairs"]) > 9
    for pair in report["pairs"]:
        first = pair["clip"][0]["lr_number"]
        steps = np.diff([int(row["hr_frame"]) for row in rows[first : first + 5]])
        moves = all(row["moving"] == "1" for row in rows[first : first + 5])
        assert not moves or (steps == 1).all(), rows[first : first + 5]
    left_out = report["timelines"][0]["left_out"]
    assert left_out["doubled (in their clip)"] > 0
    assert left_out["missing (in their clip)"] > 0


def test_a_frame_that_differs_leaves_its_clip_out(run: Run, tmp_path: Path) -> None:
    pan = moving(40, (384, 216))
    small = [cv2.resize(frame, (192, 108), interpolation=cv2.INTER_AREA) for frame in pan]
    small[22][40:80, 60:130] = small[22][40:80, 60:130].mean()
    lr, hr = write_video(tmp_path / "lr.mkv", small, crf="10"), write_video(tmp_path / "hr.mkv", pan, crf="10")
    command = "--lr", lr, "--hr", hr, "--dest", tmp_path / "out", "--clips", 5, "--every", 0.2, "--report"
    outcome = run(*command)
    assert outcome.code == 0, outcome.err
    report = report_of(tmp_path / "out")
    assert all(22 not in [frame["lr_number"] for frame in pair["clip"]] for pair in report["pairs"])
    assert {pair["reason"] for pair in report["rejected_pairs"]} == {"a frame of its clip differs"}
    assert "pairs with a frame in their clip that differs" in outcome.out
    dry = run(*command[:4], *command[6:10], "--dry", "--json")
    summary = json.loads(dry.out)
    assert (summary["pairs"], summary["clips"]) == (len(report["pairs"]), len(report["pairs"]))
    assert summary["without_clip"] > 0


@pytest.mark.parametrize("layout", ["reds", "vimeo", "trainner"])
def test_each_layout_is_what_its_loaders_read(run: Run, recut: Path, tmp_path: Path, layout: str) -> None:
    dest = tmp_path / "out"
    assert run(*flags(recut, dest), *CLIPS, "--clips_layout", layout, "--for", "basicsr", "--depth", 8).code == 0
    count = len(report_of(dest)["pairs"])
    keys: list[list[str]]
    if layout == "trainner":
        # traiNNer-redux 6862931, paired_video_dataset.py: a scene is what names have before the first _, its frames in
        # the order of the names, and both sides' are of one name.
        scenes: dict[str, list[str]] = {}
        for name in sorted(path.name for path in (dest / "LR").iterdir()):
            scenes.setdefault(name.split("_")[0], []).append(name)
        keys = list(scenes.values())
    else:
        # BasicSR 8d56e3a, reds_dataset.py and vimeo90k_dataset.py: folder, number of frames and size, between spaces.
        lines = (dest / "meta_info_clips.txt").read_text().splitlines()
        folders, numbers, sizes = zip(*(line.split(" ") for line in lines), strict=True)
        name = "{}/{:08d}.png" if layout == "reds" else "{}/im{}.png"
        begin = 0 if layout == "reds" else 1
        keys = [[name.format(folder, k) for k in range(begin, begin + int(n))]
                for folder, n in zip(folders, numbers, strict=True)]  # fmt: skip
        for files, size in zip(keys, sizes, strict=True):
            shape = cv2.imread(str(dest / "HR" / files[0]), cv2.IMREAD_UNCHANGED).shape
            assert size == "({},{},{})".format(*shape)
    if layout == "vimeo":
        assert (dest / "sep_trainlist.txt").read_text().split() == list(folders)
        assert all(len(folder.split("/")) == 2 for folder in folders)
    assert len(keys) == count > 0
    assert all(len(files) == 7 for files in keys)
    for side in ("LR", "HR"):
        assert {f"{side}/{file}" for files in keys for file in files} == {
            path.relative_to(dest).as_posix() for path in (dest / side).rglob("*.png")
        }


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_clips(run: Run, recut: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    assert run(*flags(recut, tmp_path / "whole"), *CLIPS).code == 0
    with interrupted_when_written():
        assert run(*flags(recut, dest), *CLIPS).code == 130
    assert list(dest.rglob("LR/*/*.png"))
    assert run(*flags(recut, dest), *CLIPS, "--resume").code == 0
    assert images(dest) == images(tmp_path / "whole")
    assert {path.name for path in (dest / ".twimager").iterdir()} == {"journal.jsonl", "lock"}


@pytest.mark.slow
def test_a_clip_is_deleted_and_restored_as_a_whole(run: Run, recut: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    assert run(*flags(recut, dest), *CLIPS).code == 0
    before, clips = images(dest), (dest / "meta_info_clips.txt").read_text().splitlines()
    with Review(dest / "report.json") as review:
        pair = review.pairs[0]
        review.delete(pair)
        assert len(images(dest)) == len(before) - 14
        assert review.undo() is pair
        assert images(dest) == before
        review.delete(pair)
    assert (dest / "meta_info_clips.txt").read_text().splitlines() == clips[1:]
    assert len(read_report(dest / "report.json").pairs) == len(clips) - 1
    assert run("verify", dest).code == 0
    (dest / "LR" / clips[1].split()[0] / "other.png").write_bytes(b"")
    assert "in neither journal nor report" in run("verify", dest).out


@pytest.mark.slow
def test_clips_are_split_and_limited(run: Run, recut: Path, tmp_path: Path) -> None:
    assert run(*flags(recut, tmp_path / "out"), *CLIPS, "--split", 0.6, "--limit", 3).code == 0
    lists = [(tmp_path / "out" / part / "meta_info_clips.txt").read_text() for part in ("train", "val")]
    assert sum(len(text.splitlines()) for text in lists) == 3
    assert all(list((tmp_path / "out" / part / "HR").rglob("*.png")) for part in ("train", "val"))


def test_hrs_have_the_colours_of_their_pair_all_through(run: Run, recut: Path, tmp_path: Path) -> None:
    for name, transfer in {"plain": (), "colours": ("--color_transfer", "plain")}.items():
        assert run(*flags(recut, tmp_path / name), *CLIPS, "--frames", 2, *transfer).code == 0
    # The mapping is one line for all frames of a clip.
    clip = report_of(tmp_path / "colours")["pairs"][0]["clip"]
    toned = [np.asarray(cv2.imread(frame["hr_output"]), float)[..., 1] for frame in clip]
    plain = [
        np.asarray(cv2.imread(frame["hr_output"].replace("/colours/", "/plain/")), float)[..., 1] for frame in clip
    ]
    lines = [np.polyfit(one.ravel(), other.ravel(), 1) for one, other in zip(plain, toned, strict=True)]
    assert np.ptp(lines, axis=0)[0] < 0.01
    assert np.ptp(lines, axis=0)[1] < 0.5


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--clips", 1), "--clips must be 2 or more"),
        (("--clips", 5, "--clips_layout", "vimeo"), "--clips 7"),
        (("--clips_layout", "vimeo"), "add --clips"),
        (("--clips", 7, "--tile", 64), "not with --tile"),
        (("--clips", 7, "--partial", "mask"), "not with --partial mask"),
        (("--clips", 7, "--format", "jpg"), "--format png"),
        (("--clips", 7, "--lmdb", "--names", "safe"), "not with --lmdb"),
    ],
)
def test_what_makes_no_clips_is_refused(
    run: Run, recut: Path, tmp_path: Path, more: tuple[Any, ...], message: str
) -> None:
    refused(run(*flags(recut, tmp_path / "out"), *more), 2, message)


def test_images_have_no_clips(run: Run, tmp_path: Path) -> None:
    sides = "--lr", Path("examples/LR"), "--hr", Path("examples/HR"), "--dest", tmp_path / "out"
    refused(run(*sides, "--clips", 7), 2, "--clips", "are for videos")


def test_a_clip_is_kept_whole_or_not_at_all(
    run: Run, recut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twimager.output import clips

    made: list[int] = []

    def full(*others: Any, **more: Any) -> bytes:
        made.append(1)
        if len(made) > 9:
            raise OSError(28, "No space left on device")
        return encoded_hr(*others, **more)

    encoded_hr = clips.encoded_hr
    monkeypatch.setattr(clips, "encoded_hr", full)
    outcome = run(*flags(recut, tmp_path / "out"), *CLIPS, "--jobs", 1)
    assert outcome.code == 1
    assert len(made) > 9
    assert len(contents(tmp_path / "out")) == 14 or not images(tmp_path / "out")
    assert {len(list(folder.iterdir())) for folder in (tmp_path / "out/LR").iterdir()} <= {0, 7}
