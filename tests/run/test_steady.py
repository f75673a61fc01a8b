"""Films of one geometry are aligned by what their pairs have in common; those whose geometry varies are left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks import films
from tests.support.command import Run
from tests.support.report import report_of
from twimager.video.matching import Matched, match_videos

PAL = next(kind for kind in films.KINDS if kind.name == "pal")
HR, LR = (640, 360), (360, 288)


def made(folder: Path, count: int, look: Any = PAL.look) -> Path:
    """A film of scenes of which every second is dark."""
    rng = np.random.default_rng(1)
    scenes = films.photo_scenes(films.PHOTOS, count, HR, rng)
    scenes[1::2] = [scene._replace(draw=dark(scene.draw)) for scene in scenes[1::2]]
    films.make(replace(PAL, look=look), scenes, folder, 2, rng)
    return folder


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("film"), 8)


def dark(draw: Any) -> Any:
    return lambda number: np.asarray(draw(number) // 4, np.uint8)


def pairs(run: Run, film: Path, dest: Path, *flags: Any) -> tuple[dict[int, np.ndarray], float | None]:
    """The matrix of each pair of a film, by the number of its LR frame, and by how much they weave."""
    sides = "--lr", film / "lr.mkv", "--hr", film / "hr.mkv", "--dest", dest, "--save", dest.parent / "store.sqlite"
    assert run(*sides, "--dry", "--report", *flags).code == 0
    report = report_of(dest)
    found = {pair["lr_frame"]["number"]: np.array(pair["matrix"]) for pair in report["pairs"]}
    return found, report["timelines"][0]["weave"]


def errors(found: dict[int, np.ndarray]) -> list[float]:
    true = films.true_matrix(PAL, LR, HR)
    return [films.misalignment(matrix, true, (0, 0, *LR)) for matrix in found.values()]


@pytest.mark.slow
def test_pairs_of_one_geometry_are_aligned_better_together(run: Run, film: Path, tmp_path: Path) -> None:
    (own, unknown), (steady, weave) = (
        pairs(run, film, tmp_path / f"out_{how}", "--steady", how) for how in ("off", "auto")
    )
    assert own.keys() == steady.keys()
    assert len(own) >= 8
    assert np.median(errors(steady)) < np.median(errors(own)) / 2
    assert max(errors(steady)) <= max(errors(own))
    assert unknown is None
    assert weave is not None
    assert weave < 0.03
    assert all(pair["weave"] is not None for pair in report_of(tmp_path / "out_auto")["pairs"])


@pytest.mark.slow
def test_pairs_that_weave_keep_their_own_transforms(run: Run, tmp_path: Path) -> None:
    shifts = np.random.default_rng(5).normal(0, 0.6, (2000, 2))

    def woven(pixels: Any, number: int) -> Any:
        matrix = np.array([[1, 0, shifts[number, 0]], [0, 1, shifts[number, 1]]])
        return cv2.warpAffine(pixels, matrix, HR, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)

    film = made(tmp_path, 5, woven)
    (own, _), (steady, weave) = (pairs(run, film, tmp_path / f"out_{how}", "--steady", how) for how in ("off", "auto"))
    assert own.keys() == steady.keys()
    assert all((own[number] == steady[number]).all() for number in own)
    assert weave is not None
    assert weave > 0.2


@pytest.mark.slow
def test_a_shot_that_is_framed_in_another_way_keeps_its_own_transform(run: Run, tmp_path: Path) -> None:
    def reframed(pixels: Any, number: int) -> Any:
        return pixels[8:-6, 12:-10] if number < 60 else pixels

    film = made(tmp_path, 5, reframed)
    (own, _), (steady, _) = (pairs(run, film, tmp_path / f"out_{how}", "--steady", how) for how in ("off", "auto"))
    others = {number: matrix for number, matrix in steady.items() if number >= 60}
    assert any(number < 60 for number in own)
    assert all((own[number] == steady[number]).all() for number in own if number < 60)
    assert np.median(errors(others)) < np.median(errors({number: own[number] for number in others}))


@pytest.mark.slow
def test_a_frame_next_to_the_right_one_is_told_by_the_transform_of_the_others(
    run: Run, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_by_one(*arguments: Any) -> Matched:
        matched = match_videos(*arguments)
        numbers = matched.matches[0].timeline.hr_frames
        numbers[: len(numbers) // 3] += 1
        return matched

    monkeypatch.setattr("twimager.run.film.match_videos", off_by_one)
    found, _ = pairs(run, film, tmp_path / "out")
    frames = [(pair["lr_frame"], pair["hr_frame"]) for pair in report_of(tmp_path / "out")["pairs"]]
    assert len(frames) >= 8
    assert all(lr["number"] == hr["number"] for lr, hr in frames)
    assert max(errors(found)) < 0.02
