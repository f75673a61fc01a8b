"""`overlay`: a layer put on pictures comes back, its alpha and colour too; pictures without one have none."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.command import Run, refused
from tests.support.paths import EXAMPLES
from twimager.common_layer import job
from twimager.common_layer.frames import MAX_FRAMES

SIZE = 120, 90
LAYER, ALPHA = np.s_[20:50, 60:100], 0.6
COLOR = 30, 200, 220


@pytest.fixture(scope="module")
def pictures() -> list[Any]:
    """Small parts of the example photographs, each another one."""
    rng = np.random.default_rng(3)
    photos = [cv2.imread(str(path)) for path in sorted((EXAMPLES / "HR").iterdir())]
    parts = []
    for number in range(40):
        photo = photos[number % len(photos)]
        x, y = (int(rng.integers(0, room)) for room in np.array(photo.shape[1::-1]) - (360, 270))
        part = cv2.resize(photo[y : y + 270, x : x + 360], SIZE, interpolation=cv2.INTER_AREA)
        parts.append(part[:, :: 1 if number % 4 < 2 else -1])
    return parts


def save(folder: Path, frames: Any) -> Path:
    folder.mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{number:03}.png"), frame)
    return folder


def with_layer(pictures: list[Any], alpha: float = ALPHA) -> list[Any]:
    frames = [picture.copy() for picture in pictures]
    for frame in frames:
        frame[LAYER] = np.rint((1 - alpha) * frame[LAYER] + alpha * np.array(COLOR))
    return frames


@pytest.mark.parametrize("alpha", [0.6, 1.0])
def test_a_layer_is_found_with_its_alpha_and_color(run: Run, tmp_path: Path, pictures: list[Any], alpha: float) -> None:
    frames = save(tmp_path / "frames", with_layer(pictures, alpha))
    found = run("overlay", frames, "--dest", tmp_path / "out")
    assert (found.code, found.err) == (0, "")
    assert f"opaque, median alpha {alpha:.1f}" in found.out
    layer = cv2.imread(str(tmp_path / "out/layer.png"), cv2.IMREAD_UNCHANGED)
    mask = cv2.imread(str(tmp_path / "out/mask.png"), cv2.IMREAD_UNCHANGED)
    truth = np.zeros(SIZE[::-1], bool)
    truth[LAYER] = True
    shown = layer[..., 3] > 0
    assert (shown & truth).sum() > 0.95 * (shown | truth).sum()
    assert np.mean(layer[LAYER][..., 3] / 255) == pytest.approx(alpha, abs=0.04)
    assert abs(layer[LAYER][..., :3].mean(axis=(0, 1)) - COLOR).max() < 8
    assert set(np.unique(mask)) == {0, 255}
    assert not mask[truth].any()
    assert mask[cv2.dilate(truth.astype(np.uint8), np.ones((11, 11))) == 0].all()
    preview = cv2.imread(str(tmp_path / "out/preview.png"))
    assert preview.shape[0] == 2 * SIZE[1]
    pink = (preview[SIZE[1] :, : SIZE[0], 1] + 60.0 < preview[:, : SIZE[0], 1][: SIZE[1]]).mean()
    assert pink > 0.05


def test_without_a_layer_there_is_none(run: Run, tmp_path: Path, pictures: list[Any]) -> None:
    frames = save(tmp_path / "frames", pictures)
    refused(run("overlay", frames, "--dest", tmp_path / "out"), 4, "no layer: ", "have nothing in common")
    assert not (tmp_path / "out").exists()


def test_a_camera_that_stands_still_is_no_layer(run: Run, tmp_path: Path, pictures: list[Any]) -> None:
    still = [pictures[0].copy() for _ in range(30)]
    for number, frame in enumerate(still):
        frame[30:70, 3 * number : 3 * number + 20] = 0
    refused(run("overlay", save(tmp_path / "frames", still), "--dest", tmp_path / "out"), 4, "only 1 of 30 frames")


def test_frames_that_do_not_fit_are_named(run: Run, tmp_path: Path, pictures: list[Any]) -> None:
    frames = save(tmp_path / "frames", with_layer(pictures))
    for number in range(4):
        cv2.imwrite(str(frames / f"other{number}.png"), pictures[0][:60])
    (frames / "broken.png").write_bytes(b"no picture")
    found = run("overlay", *sorted(frames.iterdir()), frames, "--dest", tmp_path / "out")
    assert found.code == 3
    broken, others = sorted(found.err.splitlines(), key=lambda line: "other sizes" in line)
    assert broken.startswith(f"{frames / 'broken.png'}: ")
    assert others.startswith("4 of other sizes than 120 x 90 are left out: ")
    assert others.endswith("other2.png, ...")
    assert "different frames of 44" in found.out


def test_of_many_frames_some_are_read(run: Run, tmp_path: Path, pictures: list[Any]) -> None:
    frames = save(tmp_path / "frames", with_layer(pictures) * (MAX_FRAMES // 40 + 1))
    found = run("overlay", frames, "--dest", tmp_path / "out")
    assert found.code == 0
    assert f"different frames of {MAX_FRAMES}, evenly sampled from 240" in found.out


def test_bad_input(run: Run, tmp_path: Path, pictures: list[Any]) -> None:
    frames, dest = save(tmp_path / "frames", pictures[:5]), tmp_path / "out"
    refused(run("overlay", frames, "--dest", dest), 2, "5 frames are too few; 16 are needed")
    refused(run("overlay", tmp_path / "none", "--dest", dest), 2, "there is no ")
    refused(run("overlay", frames, "--dest", frames / "out"), 2, "lie in each other")
    refused(run("overlay", frames, "--dest", frames / "000.png"), 2, "is a file; name a folder")
    dest.mkdir()
    (dest / "mine.txt").write_text("mine")
    refused(run("overlay", frames, "--dest", dest), 2, "is not empty")


def test_nothing_can_be_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number in range(16):
        (tmp_path / f"frames/{number}.png").write_bytes(b"no picture")
    found = run("overlay", tmp_path / "frames", "--dest", tmp_path / "out")
    assert (found.code, found.err.count("\n")) == (4, 17)


@pytest.mark.parametrize(
    ("rows", "words"), [(50, "changed while the job went on"), (0, "No such file")], ids=["size", "gone"]
)
def test_a_frame_that_changes_meanwhile(
    run: Run, tmp_path: Path, pictures: list[Any], monkeypatch: pytest.MonkeyPatch, rows: int, words: str
) -> None:
    frames = save(tmp_path / "frames", pictures)
    survey = job.survey

    def surveyed(*given: Any) -> Any:
        found = survey(*given)
        (frames / "000.png").unlink()
        if rows:
            cv2.imwrite(str(frames / "000.png"), pictures[0][:rows])
        return found

    monkeypatch.setattr(job, "survey", surveyed)
    refused(run("overlay", frames, "--dest", tmp_path / "out"), 1, "000.png", words)
