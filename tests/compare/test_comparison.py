"""`compare`: scores as others have them, the crop to the pixel, and every bad input in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagehash
import numpy as np
import pytest
from PIL import Image
from skimage.metrics import mean_squared_error, structural_similarity

from tests.support.command import Run, refused
from tests.support.paths import BENCH, EXAMPLES
from tests.support.pictures import cat, picture
from twimager.compare import comparison
from twimager.similarity.detectors import Detector

A, B = EXAMPLES / "HR/P1040518.jpg", EXAMPLES / "HR/P1040102.jpg"
NO_DETECTOR = [detector.value for detector in Detector if not detector.is_available]

Compare = Callable[..., dict[str, Any]]


@pytest.fixture
def compare(run: Run, tmp_path: Path) -> Compare:
    """Compare two pictures, or files, and return what --json says."""

    def compared(*pictures: Any) -> dict[str, Any]:
        paths = []
        for name, given in zip("ab", pictures, strict=True):
            path = given if isinstance(given, Path) else tmp_path / f"{name}.png"
            if path is not given:
                cv2.imwrite(str(path), given)
            paths.append(path)
        outcome = run("compare", *paths, "--json")
        assert (outcome.code, outcome.err) == (0, "")
        found: dict[str, Any] = json.loads(outcome.out)
        return found

    return compared


def numbers(found: dict[str, Any]) -> tuple[float, ...]:
    crop = found["crop"]
    return crop["x"], crop["y"], crop["width"], crop["height"]


@pytest.mark.slow
def test_scores_are_those_of_the_reference_implementations(compare: Compare, tmp_path: Path) -> None:
    a, b = cat()[:280, :440], picture("P1040771")[:280, :440]
    found = compare(a, b)
    grays = [cv2.cvtColor(p, cv2.COLOR_BGR2GRAY) for p in (a, b)]
    same = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    assert found["scored_on"] == "frames"
    assert found["ssim"] == pytest.approx(structural_similarity(*grays, **same), abs=1e-6)
    assert found["mse"] == pytest.approx(mean_squared_error(a, b), abs=1e-5)
    assert found["l2_norm"] == pytest.approx(np.sqrt(mean_squared_error(a, b) * a.size), abs=1e-5)
    files = [Image.open(tmp_path / name) for name in ("a.png", "b.png")]
    for name, taken in (("phash", imagehash.phash), ("dhash", imagehash.dhash), ("ahash", imagehash.average_hash),
                        ("colorhash", imagehash.colorhash)):  # fmt: skip
        assert found["hash_distances"][name] == taken(files[0]) - taken(files[1])
    assert found["transform"] is None
    assert found["not_aligned"]
    assert found["crop"] is None


def test_equal_pictures(compare: Compare) -> None:
    found = compare(A, A)
    assert (found["mse"], found["ssim"], found["color_difference"]) == (0, 1, 0)
    assert found["histogram_correlation"] == pytest.approx(1)
    assert set(found["hash_distances"].values()) == {0}
    assert found["transform"]["matrix"] == np.eye(3).tolist()
    assert found["cosine_similarity"] is None
    assert found["crop"] is None
    for name in set(found["detectors"]) - set(NO_DETECTOR):
        tied = found["detectors"][name]
        assert tied["inliers"] == tied["matches"] > 100
    assert all(found["detectors"][name] is None for name in NO_DETECTOR)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["P1040102", pytest.param("P1040355", marks=pytest.mark.slow)])
def test_unscaled_crops_are_found_to_the_pixel(compare: Compare, tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(5)
    whole = picture(name)
    size = np.array(whole.shape[1::-1])
    width, height = (size * rng.uniform(0.2, 0.7, 2)).astype(int)
    x, y = (int(rng.integers(0, room)) for room in size - (width, height))
    part = whole[y : y + height, x : x + width]
    found = compare(part, whole)
    assert found["crop"] == {
        "of": "a", "in": "b", "x": x, "y": y, "width": width, "height": height, "exact": True, "upright": True,
    }  # fmt: skip
    assert (found["scored_on"], found["mse"]) == ("overlap", 0)
    cv2.imwrite(str(tmp_path / "part.jpg"), part, [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert numbers(compare(tmp_path / "part.jpg", whole)) == pytest.approx((x, y, width, height), abs=0.1)


def test_the_crop_may_be_of_the_second_and_mirrored(compare: Compare) -> None:
    whole = picture("P1040355")
    found = compare(whole, whole[60:300, 200:520][:, ::-1])
    assert (found["crop"]["of"], found["crop"]["in"]) == ("b", "a")
    assert numbers(found) == (200, 60, 320, 240)
    assert found["transform"]["mirrored"]
    assert found["mse"] == 0


def test_where_features_fail_a_template_does_it(compare: Compare) -> None:
    rng = np.random.default_rng(0)
    sky = cv2.GaussianBlur(rng.normal(0, 60, (400, 600)), (0, 0), 12) + 128
    whole = np.clip(cv2.merge([sky] * 3) + rng.normal(0, 1, (400, 600, 3)), 0, 255).astype(np.uint8)
    found = compare(whole[101:171, 333:413], whole)
    assert numbers(found) == (333, 101, 80, 70)
    assert found["transform"]["found_by"] == "template"


@pytest.mark.slow
def test_a_resized_and_turned_part(compare: Compare) -> None:
    whole = picture("P1040663")[:720, :920]
    small = cv2.resize(whole[100:700, 200:900], (350, 300), interpolation=cv2.INTER_AREA)
    found = compare(small, whole)
    assert numbers(found) == pytest.approx((200, 100, 700, 600), abs=0.2)
    assert not found["crop"]["exact"]
    assert found["transform"]["scale"] == pytest.approx(2, abs=1e-3)
    assert found["scored_size"] == pytest.approx([350, 300], abs=1)
    assert found["ssim"] > 0.98
    rotation = cv2.getRotationMatrix2D((300, 260), -10, 1)
    rotated = cv2.warpAffine(whole, rotation, (600, 520), flags=cv2.INTER_CUBIC)[80:440, 90:510]
    found = compare(rotated, whole)
    assert found["transform"]["degrees"] == pytest.approx(-10, abs=0.05)
    assert not found["crop"]["upright"]


def test_what_does_not_align_is_compared_in_the_smaller_size(compare: Compare) -> None:
    found = compare(cat(), picture("P1040102")[:200, :250])
    assert (found["scored_on"], found["scored_size"]) == ("resized", [250, 200])
    assert found["ssim"] < 0.5


@pytest.mark.slow
def test_the_text_is_for_people(run: Run, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "part.png"), cat()[40:240, 100:400])
    text = run("compare", tmp_path / "part.png", A).out
    assert "A is a crop of B: x y w h = 100 40 300 200." in text
    assert "found by features, " in text
    assert "what both show" in text
    assert all(f"\n{detector.value} " in text for detector in Detector)
    assert "do not lie on each other" in run("compare", A, B).out


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ((0, 0, 300, 200), (60, 40, 160, 120), "B is a crop of A: x y w h = 60 40 160 120."),
        ((0, 0, 300, 200), (0, 0, 300, 200), "Both show the same."),
        ((0, 0, 200, 200), (50, 0, 300, 200), "They overlap: B shows 75% of A, A 50% of B."),
    ],
)
def test_the_text_tells_which_shows_what_part_of_the_other(
    run: Run, tmp_path: Path, first: tuple[int, ...], second: tuple[int, ...], words: str
) -> None:
    for name, (x, y, width, height) in (("a.png", first), ("b.png", second)):
        cv2.imwrite(str(tmp_path / name), cat()[y : y + height, x : x + width])
    assert words in run("compare", tmp_path / "a.png", tmp_path / "b.png").out


@pytest.mark.parametrize("name", ["matches.png", pytest.param("matches.JPG", marks=pytest.mark.slow)])
def test_matches_are_drawn(run: Run, tmp_path: Path, name: str) -> None:
    cv2.imwrite(str(tmp_path / "part.png"), cat()[40:240, 100:400])
    out = tmp_path / "new" / name
    assert run("compare", tmp_path / "part.png", A, "--draw", out, "--detector", "orb").code == 0
    drawn = cv2.imread(str(out))
    assert drawn.shape == (300, 300 + 12 + 451, 3)
    plain = drawn[50:250, :300] == cat()[40:240, 100:400]
    assert 0.3 < plain.mean() < 0.999 or name.endswith("JPG")
    refused(run("compare", tmp_path / "part.png", A, "--draw", out), 2, "is there already", "--overwrite")
    before = out.read_bytes()
    assert run("compare", tmp_path / "part.png", A, "--draw", out, "--overwrite").code == 0
    assert out.read_bytes() != before


@pytest.mark.slow
def test_every_two_of_a_folder(run: Run, tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "drawn"
    (folder / "below").mkdir(parents=True)
    cv2.imwrite(str(folder / "part.png"), cat()[40:240, 100:400])
    shutil.copy(A, folder / "whole.jpg")
    shutil.copy(B, folder / "below" / "other.jpg")
    outcome = run("compare", folder, "--recursive", "--json", "--draw", out)
    assert outcome.code == 0
    found = json.loads(outcome.out)
    assert [(Path(one["a"]["path"]).stem, Path(one["b"]["path"]).stem) for one in found] == [
        ("other", "part"), ("other", "whole"), ("part", "whole"),
    ]  # fmt: skip
    assert numbers(found[2]) == (100, 40, 300, 200)
    assert sorted(path.name for path in out.iterdir()) == ["other__part.png", "other__whole.png", "part__whole.png"]
    refused(run("compare", folder, "--draw", out), 2, "--draw", "--overwrite")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    outcome = run("compare", folder)
    assert outcome.code == 3
    assert "broken.png" in outcome.err
    lines = outcome.out.splitlines()
    assert len(lines) == 2
    assert lines[1].split()[-5:] == ["A", "in", "B", "part.png", "whole.jpg"]


def test_what_can_not_be_compared(run: Run, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    shutil.copy(A, tmp_path / "alone")
    (tmp_path / "notes.txt").write_text("no image")
    refused(run("compare"), 2, "A B, DIR")
    refused(run("compare", A, tmp_path / "gone.png"), 2, "gone.png", "there is no")
    refused(run("compare", A), 2, "is a file", "two images or one folder")
    refused(run("compare", A, tmp_path), 2, "is a folder")
    refused(run("compare", A, B, A), 2, "two images or one folder")
    refused(run("compare", tmp_path / "alone"), 2, "holds 1 file")
    refused(run("compare", A, tmp_path / "notes.txt"), 3, "notes.txt", "not an image")
    refused(run("compare", A, B, "--max_pixels", 0), 2, "--max_pixels")
    refused(run("compare", tmp_path, "--jobs", 0), 2, "--jobs")
    refused(run("compare", A, B, "--detector", "surf"), 2, "--detector")
    refused(run("compare", A, B, "--draw", tmp_path / "x.gif"), 2, "--draw", ".png or .jpg")
    refused(run("compare", A, B, "--draw", tmp_path), 2, "--draw", "must end")
    refused(run("compare", A, B, "--draw", A), 2, "--draw", "keep it apart")
    refused(run("compare", tmp_path / "alone", "--draw", tmp_path / "alone/in"), 2, "--draw", "keep it apart")
    for name in NO_DETECTOR:
        refused(run("compare", A, B, "--detector", name), 2, "--detector", "does not have")


def test_an_image_that_goes_meanwhile(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe, files = comparison.describe, [tmp_path / "0.jpg", tmp_path / "1.jpg"]

    def meanwhile(path: Path, *more: Any) -> comparison.ImageDescriptors:
        described = describe(path, *more)
        path.unlink()
        return described

    monkeypatch.setattr(comparison, "describe", meanwhile)
    for images in (files, [tmp_path]):
        for file in files:
            shutil.copy(A, file)
        refused(run("compare", *images), 3, "unreadable", "0.jpg")


def test_an_image_of_too_many_pixels(run: Run) -> None:
    outcome = run("compare", A, B, "--max_pixels", 1000)
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err.count("--max_pixels 1000 is the limit") == 2


def test_help(run: Run) -> None:
    with pytest.raises(SystemExit) as left:
        run("compare", "--help")
    assert left.value.code == 0


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not BENCH.is_dir(), reason="the shared photographs are not here")
def test_unscaled_crops_of_photographs(compare: Compare, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    photographs = sorted((BENCH / "photos").glob("*.jpg"))
    for photograph in rng.choice(np.array(photographs), 5, replace=False):
        whole = cv2.imread(str(photograph))
        size = np.array(whole.shape[1::-1])
        width, height = (size * rng.uniform(0.15, 0.8, 2)).astype(int)
        x, y = (int(rng.integers(0, room + 1)) for room in size - (width, height))
        part = whole[y : y + height, x : x + width]
        assert numbers(compare(part, photograph)) == (x, y, width, height), photograph.name
        cv2.imwrite(str(tmp_path / "part.jpg"), part, [cv2.IMWRITE_JPEG_QUALITY, 80])
        found = numbers(compare(tmp_path / "part.jpg", photograph))
        assert found == pytest.approx((x, y, width, height), abs=0.1), photograph.name
