"""The time map says which frame is which, and maps nothing that one side lacks."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import films
from tests.support.command import Run
from tests.support.videos import moving, write_video
from tests.video.conftest import Release, make_release
from twimager.video import container
from twimager.video.timeline import common_share, find_timeline
from twimager.video.voting import Matches, find_lines


def require_right(release: Release, exact: float = 0.99) -> None:
    score = films.score(release.found.hr_frames, release.truth)
    assert score.exact >= exact
    assert score.lacking == 0
    assert score.mapped >= 0.95
    assert score.shots >= 0.95


def test_another_cut_that_is_sped_up_is_mapped_to_the_frame(recut: Release) -> None:
    require_right(recut)
    segments = recut.found.segments
    assert {round(segment.rate, 4) for segment in segments} == {1.0427}
    assert sorted(segments, key=lambda segment: segment.hr_from) != segments


@pytest.mark.slow
def test_a_broadcast_is_mapped_and_its_breaks_are_not(broadcast: Release) -> None:
    require_right(broadcast)
    framing = broadcast.found.framing
    assert framing.x == pytest.approx((0.865, 0.0625), abs=0.01)
    assert framing.y == pytest.approx((0.91, 0.042), abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind.name for kind in films.KINDS])
def test_every_kind_of_release_is_mapped(tmp_path: Path, kind: str) -> None:
    require_right(make_release(kind, tmp_path, seed=4))


def test_films_that_share_nothing_are_not_mapped(recut: Release, tmp_path: Path) -> None:
    signed = recut.lr_signatures
    other = replace(signed, thumbnails=signed.thumbnails[:][:, ::-1, ::-1].swapaxes(1, 2))
    assert find_timeline(other, recut.hr_signatures).mapped == 0
    assert common_share(other, recut.hr_signatures) == 0


def test_a_video_of_one_frame_or_of_black_is_mapped_nowhere(recut: Release) -> None:
    signed = recut.lr_signatures
    one = replace(signed, records=signed.records[:1], thumbnails=signed.thumbnails[:1])
    black = replace(signed, thumbnails=np.full((len(signed), 32, 32), 16, np.uint8))
    for nothing in (one, black):
        assert find_timeline(nothing, recut.hr_signatures).mapped == 0
        assert find_timeline(recut.lr_signatures, nothing).mapped == 0


@pytest.mark.parametrize("rate", [1.0, 25 / 24, 0.93])
def test_lines_are_found_among_twice_as_many_wrong_matches(rate: float) -> None:
    rng = np.random.default_rng(0)
    lr = np.arange(0, 60, 0.25)
    right = rate * lr + np.where(lr < 30, 5.0, 17.0)
    moments, hr = np.repeat(lr, 3), np.stack([right, *rng.uniform(0, 80, (2, len(lr)))], axis=1).ravel()
    lines = find_lines(Matches(moments, hr, np.full(len(hr), 0.9)), 0.25)
    assert [line.rate for line in lines[:2]] == pytest.approx([rate] * 2, abs=0.002)
    assert sorted(line.offset for line in lines[:2]) == pytest.approx([5, 17], abs=0.1)


def test_the_command_prints_segments_and_writes_a_table(run: Run, recut: Release, tmp_path: Path) -> None:
    table = tmp_path / "segments.csv"
    outcome = run("timeline", recut.lr, recut.hr, "--csv", table)
    assert outcome.code == 0
    assert f"{recut.lr} -> {recut.hr}: " in outcome.out
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["hr"] for row in rows} == {str(recut.hr)}
    assert all(float(row["offset"]) == pytest.approx(float(row["hr_from"]) - float(row["lr_from"])) for row in rows)
    assert run("timeline", recut.lr, recut.hr, "--csv", table).code == 2


@pytest.mark.slow
def test_of_folders_each_video_finds_its_own(run: Run, recut: Release, broadcast: Release, tmp_path: Path) -> None:
    for side, name, path in (
        ("a", "z.mpg", recut.lr), ("a", "y.mkv", broadcast.lr), ("b", "1.mkv", recut.hr), ("b", "2.mkv", broadcast.hr),
    ):  # fmt: skip
        (tmp_path / side).mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / side / name)
    (tmp_path / "a" / "x.mkv").write_text("no video")
    outcome = run("timeline", tmp_path / "a", tmp_path / "b", "--json")
    document = json.loads(outcome.out)
    assert outcome.code == document["exit_code"] == 3
    assert {Path(match["lr"]).name: Path(match["hr"]).name for match in document["matches"]} == {
        "z.mpg": "1.mkv", "y.mkv": "2.mkv",
    }  # fmt: skip
    assert [Path(path).name for path in document["unreadable"]] == ["x.mkv"]
    assert "x.mkv: is no video" in outcome.err


def test_what_shows_nothing_of_the_other_is_no_pair(run: Run, recut: Release, tmp_path: Path) -> None:
    other = write_video(tmp_path / "other.mkv", moving(50))
    outcome = run("timeline", recut.lr, other)
    assert outcome.code == 4
    assert f"{other}: in no pair" in outcome.out


def test_an_unreadable_video_has_the_code_of_the_main_job(run: Run, recut: Release, tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_text("no video")
    outcome = run("timeline", tmp_path / "a.mkv", recut.hr)
    assert "a.mkv: is no video" in outcome.err
    main = run("--lr", tmp_path / "a.mkv", "--hr", recut.hr, "--dest", tmp_path / "out")
    assert outcome.code == main.code == 4


def test_bad_usage_is_one_line(run: Run, recut: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no" in run("timeline", tmp_path / "none.mkv", recut.hr).err
    assert "there are no" in run("timeline", tmp_path, recut.hr).err
    assert "is named twice" in run("timeline", recut.hr, recut.hr).err
    monkeypatch.setattr(container, "find_spec", lambda _: None)
    outcome = run("timeline", recut.lr, recut.hr)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "pip install" in outcome.err
