"""Finding pictures in a folder, through the command line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import cv2
import numpy as np
import pytest

from tests.support.command import Run, refused
from tests.support.onnx_file import tiny_network
from tests.support.page import NASTY, Parsed
from tests.support.paths import EXAMPLES
from tests.support.pictures import cat, picture
from twimager.fingerprint import working_image
from twimager.geometry import frame_corners, transform_points
from twimager.image import decode, files
from twimager.search import collection
from twimager.similarity.detectors import Detector

HR, LR = EXAMPLES / "HR", EXAMPLES / "LR"
CAT = HR / "P1040518.jpg"


def found(run: Run, query: Path, *flags: object, folder: Path = HR, code: int = 0) -> list[dict[str, Any]]:
    outcome = run("search", query, "--in", folder, "--json", *flags)
    assert outcome.code == code, outcome.err
    (one,) = json.loads(outcome.out)["queries"]
    return one["found"]


def test_every_still_finds_its_photograph_and_the_unrelated_none(run: Run) -> None:
    outcome = run("search", *sorted(LR.iterdir()), "--in", HR, "--json")
    assert outcome.code == 0
    kept = json.loads(outcome.out)
    assert (kept["images"], kept["unreadable"], len(kept["queries"])) == (9, 0, 9)
    firsts = {Path(query["query"]).stem: query["found"][0] for query in kept["queries"]}
    assert [name for name, first in firsts.items() if not first["aligned"]] == ["still_04"]
    assert len({first["path"] for first in firsts.values() if first["aligned"]}) == 8


def test_the_table_lists_what_shows_the_picture_and_what_does_not(run: Run) -> None:
    outcome = run("search", LR / "still_07.jpg", LR / "still_04.png", "--in", HR, "--top", 2)
    cats, unrelated = outcome.out.split("\n\n")
    first, second = cats.splitlines()[2:]
    assert first.endswith(f" 100%  {CAT}")
    assert " -  " in second
    assert "none of them shows the picture" in unrelated
    assert (outcome.code, outcome.err) == (0, "")


def test_a_crop_is_found_to_where_it_was_cut_out(run: Run, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "part.png"), cat()[60:240, 150:350])
    (first, *_) = found(run, tmp_path / "part.png")
    assert first["path"] == str(CAT)
    corners = transform_points(np.linalg.inv(first["matrix"]), frame_corners((200, 180)))
    assert corners == pytest.approx(np.add(frame_corners((200, 180)), (150, 60)), abs=0.2)
    assert first["shown"] == pytest.approx(1, abs=0.01)


def test_a_part_of_the_query_is_found_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in/part.png"), cat()[60:240, 150:350])
    (first,) = found(run, CAT, folder=tmp_path / "in")
    assert first["aligned"]
    assert transform_points(np.array(first["matrix"]), np.zeros((1, 2)))[0] == pytest.approx((150, 60), abs=0.2)


def test_a_mirror_image_is_found_unless_excluded(run: Run, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "flipped.png"), cat()[:, ::-1])
    (first, *_) = found(run, tmp_path / "flipped.png")
    assert (first["path"], first["mirrored"]) == (str(CAT), True)
    (first, *_) = found(run, tmp_path / "flipped.png", "--no_mirror", code=4)
    assert not first["aligned"]


def test_copies_are_one_line_and_what_only_looks_the_same_is_another(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), cat())
    shutil.copy(folder / "a.png", folder / "b.png")
    cv2.imwrite(str(folder / "c.bmp"), cat())
    other = cat()
    other[150, 200] ^= 1
    cv2.imwrite(str(folder / "d.png"), other)
    for name in range(6):
        shutil.copy(folder / "a.png", folder / f"e{name}.png")
    first, second = sorted(found(run, LR / "still_07.jpg", folder=folder), key=lambda one: one["path"])
    assert Path(first["path"]).name == "a.png"
    assert [Path(path).name for path in first["copies"]] == ["b.png", "c.bmp", *(f"e{n}.png" for n in range(6))]
    assert (Path(second["path"]).name, second["copies"]) == ("d.png", [])
    assert "(the same: b.png, c.bmp, e0.png and 5 more)" in run("search", CAT, "--in", folder).out


def test_the_query_itself_is_no_result(run: Run, tmp_path: Path) -> None:
    for name in ("query.jpg", "copy.jpg"):
        shutil.copy(CAT, tmp_path / name)
    assert [Path(one["path"]).name for one in found(run, tmp_path / "query.jpg", folder=tmp_path)] == ["copy.jpg"]


def test_the_score_is_the_weighed_mean(run: Run, tmp_path: Path) -> None:
    (first, *_) = found(run, LR / "still_07.jpg")
    assert first["score"] == pytest.approx((first["ssim"] + first["features"] + first["colors"]) / 3, abs=1e-3)
    (weighed, *_) = found(run, LR / "still_07.jpg", "--weights", 3, 0, 1)
    assert weighed["score"] == pytest.approx((3 * first["ssim"] + first["colors"]) / 4, abs=1e-3)
    (same, *_) = found(run, CAT, folder=_copied(tmp_path))
    assert min(same["score"], same["ssim"], same["features"], same["colors"]) > 0.99


def _copied(tmp_path: Path) -> Path:
    shutil.copy(CAT, tmp_path / "copy.jpg")
    return tmp_path


@pytest.mark.parametrize("detector", [d.value for d in Detector if d is not Detector.ROOTSIFT])
def test_every_detector_finds_the_true_one(run: Run, detector: str) -> None:
    if not Detector(detector).is_available:
        refused(run("search", CAT, "--in", LR, "--detector", detector), 2, "--detector", detector)
        return
    first, *others = found(run, CAT, "--detector", detector, folder=LR)
    assert first["features"] > 0.1 > max(one["features"] for one in others)


def test_a_network_counts_as_a_fourth_number(run: Run, tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    (tmp_path / "net.onnx").write_bytes(tiny_network(weights, (40, 30)))
    flags = "--model", tmp_path / "net.onnx", "--model_size", 40, 30
    (first, *_) = found(run, LR / "still_07.jpg", *flags, "--weights", 0, 0, 0, 1)
    assert 0 < first["model"] <= 1
    assert first["score"] == pytest.approx(first["model"], abs=1e-3)
    assert "model" in run("search", CAT, "--in", LR, *flags).out
    refused(run("search", CAT, "--in", LR, *flags, "--weights", 1, 1, 1), 2, "--weights takes 4 numbers")


@pytest.mark.slow
def test_few_and_good_ones_only(run: Run) -> None:
    assert len(found(run, CAT, "--top", 3, folder=LR)) == 3
    assert len(found(run, CAT, "--min_score", 0.5, "--top", 20, folder=LR)) == 1
    outcome = run("search", CAT, "--in", LR, "--min_score", 1)
    assert (outcome.code, outcome.out) == (4, f"{CAT}\n  nothing found\n")


def test_nothing_similar_is_4(run: Run, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    assert not any(one["aligned"] for one in found(run, tmp_path / "noise.png", code=4))


def test_pictures_of_nothing_are_looked_for_all_the_same(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, level in (("gray", 128), ("white", 255)):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((50, 70, 3), level, np.uint8))
    assert run("search", folder / "gray.png", "--in", folder).code == 4
    assert run("search", CAT, "--in", folder).code == 4


def test_what_cannot_be_read_is_named_and_counts(run: Run, tmp_path: Path) -> None:
    shutil.copy(CAT, tmp_path / "cat.jpg")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    outcome = run("search", LR / "still_07.jpg", "--in", tmp_path)
    assert outcome.code == 3
    assert "broken.png" in outcome.err
    assert "cat.jpg" in outcome.out
    outcome = run("search", tmp_path / "broken.png", "--in", HR)
    assert outcome.code == 3
    assert "broken.png" in outcome.err
    (tmp_path / "cat.jpg").unlink()
    assert run("search", CAT, "--in", tmp_path).code == 4


@pytest.mark.parametrize(
    ("names", "becomes"),
    [(["a"], lambda path: path.unlink()), (["a", "b"], lambda path: path.unlink()),
     (["a", "b"], lambda path: path.write_bytes(path.read_bytes()[:5000]))],
    ids=["gone", "copies gone", "copies damaged"],
)  # fmt: skip
def test_what_can_not_be_read_any_more_is_named_and_counts(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], becomes: Callable[[Path], object]
) -> None:
    propose = collection.Collection.propose
    paths = [tmp_path / f"{name}.jpg" for name in names]
    for path in paths:
        shutil.copy(CAT, path)

    def meanwhile(self: collection.Collection, *how: Any) -> Any:
        found = propose(self, *how)
        for path in paths:
            becomes(path)
        return found

    monkeypatch.setattr(collection.Collection, "propose", meanwhile)
    outcome = run("search", LR / "still_07.jpg", "--in", tmp_path)
    assert outcome.code == 4
    assert sum(path.name in outcome.err for path in paths) >= 1
    assert "cat" not in outcome.out


def test_what_does_not_fit_is_said_in_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "page.html").touch()
    for arguments, word in (
        ([CAT], "--in"),
        (["--in", HR], "QUERY"),
        ([CAT, "--in", tmp_path / "none"], "there is no folder"),
        ([CAT, "--in", CAT], "is a file"),
        ([CAT, "--in", tmp_path / "empty"], "no files"),
        ([tmp_path / "none.png", "--in", HR], "there is no file"),
        ([HR, "--in", HR], "there is no file"),
        ([CAT, "--in", HR, "--top", 0], "--top"),
        ([CAT, "--in", HR, "--min_score", 2], "--min_score"),
        ([CAT, "--in", HR, "--weights", 1, 1], "--weights takes 3 numbers"),
        ([CAT, "--in", HR, "--weights", 0, 0, 0], "--weights"),
        ([CAT, "--in", HR, "--weights", "nan", 1, 1], "--weights"),
        ([CAT, "--in", HR, "--jobs", 0], "--jobs"),
        ([CAT, "--in", HR, "--max_pixels", 0], "--max_pixels"),
        ([CAT, "--in", HR, "--save", HR / "s.sqlite"], "--save"),
        ([CAT, "--in", HR, "--report", tmp_path], "--report"),
        ([CAT, "--in", HR, "--report", tmp_path / "page.html"], "--overwrite"),
        ([CAT, "--in", HR, "--model", tmp_path / "none.onnx"], "--model"),
    ):
        refused(run("search", *arguments), 2, word)
    assert not (HR / "s.sqlite").exists()


def test_the_page_shows_what_was_found_whatever_the_names(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(CAT, folder / f"{NASTY.replace('/', '|')}.jpg")
    outcome = run("search", LR / "still_07.jpg", "--in", folder, "--report", tmp_path / "page.html", "--quiet")
    assert (outcome.code, outcome.out) == (0, "")
    made = (tmp_path / "page.html").read_bytes()
    parsed = Parsed(made)
    ((match,),) = [asked["found"] for asked in parsed.data["asked"]]
    assert match["path"] == f"{NASTY.replace('/', '|')}.jpg"
    assert match["thumbnail"].startswith("data:image/jpeg;base64,")
    assert (tmp_path / unquote(match["link"])).is_file()
    assert unquote(match["place"]) == "in"
    assert np.array(match["outline"]).shape == (4, 2)
    assert made.count(b"<script") == 2
    assert "default-src 'none'" in parsed.policy
    assert "connect-src" not in parsed.policy
    assert run("search", CAT, "--in", folder, "--report", tmp_path / "page.html", "--overwrite").code == 0


def _thousand(folder: Path, count: int) -> None:
    """Write so many crops of the example photographs."""
    rng = np.random.default_rng(0)
    photographs = [picture(path.stem) for path in sorted(HR.iterdir())]
    folder.mkdir()
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        y, x = (int(rng.integers(0, side - 150)) for side in photograph.shape[:2])
        cv2.imwrite(str(folder / f"{number:04}.jpg"), photograph[y : y + 150, x : x + 150])


def _counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that names what is read from now on."""
    read: list[str] = []

    def read_bytes(path: Path) -> bytes:
        read.append(path.name)
        return files.read_bytes(path)

    for module in (decode, collection):
        monkeypatch.setattr(module, "read_bytes", read_bytes)
    return read


def test_what_is_remembered_is_not_read_again(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _thousand(tmp_path / "in", 40)
    flags = "--in", tmp_path / "in", "--save", "--json", "--top", 1
    read = _counting(monkeypatch)
    cv2.imwrite(str(tmp_path / "query.png"), cv2.imread(str(tmp_path / "in/0030.jpg"))[10:140, 10:140])
    before = run("search", tmp_path / "query.png", *flags)
    assert {f"{number:04}.jpg" for number in range(40)} <= set(read)
    assert (tmp_path / "twimager.sqlite").is_file()
    read.clear()
    monkeypatch.setattr(working_image, "recent", working_image.LRUCache(1 << 20))
    after = run("search", tmp_path / "query.png", *flags)
    assert after.out == before.out
    assert "0030.jpg" in after.out
    assert len(set(read)) <= 12
    cv2.imwrite(str(tmp_path / "in/0030.jpg"), np.zeros((150, 150, 3), np.uint8))
    assert "0030.jpg" not in run("search", tmp_path / "query.png", *flags).out
