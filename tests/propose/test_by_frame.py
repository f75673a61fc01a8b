"""What shows the same frame is paired by that alone; where frames differ, or too many are alike, features decide."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.paths import EXAMPLES
from tests.support.pictures import cat
from tests.support.report import report_of
from twimager.fingerprint import rootsift
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR, LIGHT_LR, Fingerprint
from twimager.pairing import candidates
from twimager.propose.by_frame import MAX_PROPOSED, MAX_SAME_FRAME, MIN_SHARE, Frames
from twimager.propose.proposal import Source

PHOTOS = sorted((EXAMPLES / "HR").iterdir())


def known(path: Path, image: np.ndarray[Any, Any]) -> Fingerprint:
    cv2.imwrite(str(path), image)
    return fingerprint(path, LIGHT_LR.without_features)


def proposed(lrs: list[Fingerprint], hrs: list[Fingerprint], distance: int = 12) -> list[list[str]]:
    return [[p.hr.path.name for p in of_one_lr] for of_one_lr in Frames(lrs, distance).propose(hrs)]


@pytest.fixture
def pairs(tmp_path: Path) -> tuple[list[Fingerprint], list[Fingerprint]]:
    """Photographs, and copies of them that are shrunk, faded and noisy."""
    hrs, lrs, rng = [], [], np.random.default_rng(1)
    for path in PHOTOS:
        photo = cv2.imread(str(path))
        small = cv2.resize(photo, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA) * 0.8 + 10
        lrs.append(known(tmp_path / f"{path.stem}.png", small + rng.normal(0, 4, small.shape)))
        hrs.append(fingerprint(path, LIGHT_HR.without_features))
    return lrs, hrs


def test_each_finds_its_own_frame(pairs: tuple[list[Fingerprint], list[Fingerprint]]) -> None:
    assert proposed(*pairs) == [[path.name] for path in PHOTOS]
    assert all(p.source is Source.FRAME for of_one_lr in Frames(pairs[0], 12).propose(pairs[1]) for p in of_one_lr)


def test_other_processes_compare_without_the_lrs(pairs: tuple[list[Fingerprint], list[Fingerprint]]) -> None:
    lrs, hrs = pairs
    here = Frames(lrs, 12)
    sent = pickle.dumps(here)
    there = pickle.loads(sent)
    assert [there.suffice(hr) for hr in hrs] == [here.suffice(hr) for hr in hrs] == [True] * len(hrs)
    for hr in hrs:
        np.testing.assert_array_equal(there.alike(hr), here.alike(hr))
    assert len(sent) < len(pickle.dumps(lrs))


def test_what_is_cropped_shows_another_frame(tmp_path: Path) -> None:
    hrs = [fingerprint(path, LIGHT_HR.without_features) for path in PHOTOS]
    lrs = []
    for path in PHOTOS:
        photo = cv2.imread(str(path))
        height, width = (round(0.15 * side) for side in photo.shape[:2])
        lrs.append(known(tmp_path / f"{path.stem}.png", photo[height:, width:]))
    assert proposed(lrs, hrs) == [[] for _ in PHOTOS]


def test_frames_that_are_rarely_the_same_are_not_relied_on(
    pairs: tuple[list[Fingerprint], list[Fingerprint]], tmp_path: Path
) -> None:
    lrs, hrs = pairs
    rng = np.random.default_rng(2)
    unsupported = [known(tmp_path / f"s{n}.png", rng.integers(0, 256, (60, 80, 3))) for n in range(2 * len(lrs))]
    enough = round(len(lrs) / MIN_SHARE) - len(lrs)
    assert any(proposed(lrs + unsupported[:enough], hrs))
    assert not any(proposed(lrs + unsupported[: enough + 1], hrs))


def test_the_hashes_must_be_near_too(pairs: tuple[list[Fingerprint], list[Fingerprint]]) -> None:
    lrs, hrs = pairs
    lr = lrs[0]
    bits = (lr.hashes[0] ^ hrs[0].hashes[0]).bit_count()
    assert list(Frames([lr], bits).alike(hrs[0])[0]) == [0]
    if bits:
        assert not len(Frames([lr], bits - 1).alike(hrs[0])[0])


def test_of_too_many_alike_none_is_proposed(tmp_path: Path) -> None:
    lr, hr = known(tmp_path / "lr.png", cat()[::3, ::3]), known(tmp_path / "hr.png", cat())
    assert proposed([lr], [hr] * MAX_SAME_FRAME) == [["hr.png"] * MAX_PROPOSED]
    assert proposed([lr], [hr] * (MAX_SAME_FRAME + 1)) == [[]]


def test_of_many_alike_those_go_first_that_show_what_frames_differ_in(tmp_path: Path) -> None:
    """A small ball in a picture that is shown a little displaced, in other tones and with noise."""
    rng = np.random.default_rng(0)
    frames = [cv2.circle(cat().copy(), (60 + 8 * n, 150), 9, (255, 255, 255), -1) for n in range(3 * MAX_PROPOSED)]
    hrs = [known(tmp_path / f"{n}.png", frame) for n, frame in enumerate(frames)]
    first = []
    for n in range(0, len(frames), 5):
        small = cv2.resize(frames[n][2:, 3:], (150, 100), interpolation=cv2.INTER_AREA) * 0.8 + 10
        lr = known(tmp_path / f"lr{n}.png", small + rng.normal(0, 4, small.shape))
        names = proposed([lr], hrs)[0]
        assert len(names) == MAX_PROPOSED
        first.append(names.index(f"{n}.png"))
    assert max(first) < 4


def test_features_are_found_at_once_where_frames_will_not_do(tmp_path: Path) -> None:
    lr, hr = known(tmp_path / "lr.png", cat()[::3, ::3]), known(tmp_path / "hr.png", cat())
    assert not Frames([], 12).suffice(hr)
    assert Frames([lr] * MAX_SAME_FRAME, 12).suffice(hr)
    assert not Frames([lr] * (MAX_SAME_FRAME + 1), 12).suffice(hr)


def test_nothing_is_like_a_single_colour(tmp_path: Path) -> None:
    gray = known(tmp_path / "gray.png", np.full((90, 120, 3), 128, np.uint8))
    assert not len(Frames([gray], 64).alike(gray)[0])
    assert Frames([], 64).propose([gray]) == []


def test_no_features_are_looked_for_where_all_frames_are_the_same(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rootsift.cv2, "SIFT_create", lambda *_, **__: pytest.fail("features were looked for"))
    assert run(*folders.flags, "--report").code == 0
    assert [pair["source"] for pair in report_of(folders.dest)["pairs"]] == ["frame", "frame"]


@pytest.mark.parametrize("flags", [("--search", "features"), ("--search", "hash"), ("--all_matches",)])
def test_the_flags_choose_features_hashes_or_all(run: Run, folders: Folders, flags: tuple[str, ...]) -> None:
    assert run(*folders.flags, *flags, "--report").code == 0
    assert "frame" not in {pair["source"] for pair in report_of(folders.dest)["pairs"]}


def test_neighbouring_frames_are_discriminated_and_the_rest_goes_by_features(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ball that rolls through a picture, HRs without an LR, and an LR that is cropped; no file need be read again."""
    monkeypatch.setattr(candidates, "precise_picture", lambda *_: pytest.fail("these frames are no close call"))
    lr, hr = (tmp_path / side for side in ("LR", "HR"))
    lr.mkdir()
    hr.mkdir()
    rng = np.random.default_rng(3)
    for n in range(7):
        frame = cv2.circle(cat()[:288, :420].copy(), (40 + 12 * n, 200), 10, (255, 255, 255), -1)
        cv2.imwrite(str(hr / f"h{n}.png"), frame)
        small = cv2.resize(frame, (210, 144), interpolation=cv2.INTER_AREA)
        if n % 2 == 0:
            cv2.imwrite(str(lr / f"l{n}.png"), small + rng.normal(0, 3, small.shape))
    shutil.copy(PHOTOS[0], hr / "cropped.jpg")
    other = cv2.imread(str(PHOTOS[0]))
    height, width = other.shape[:2]
    cv2.imwrite(str(lr / "cropped.png"), cv2.resize(other[height // 4 :, width // 4 :], None, fx=0.4, fy=0.4))
    assert run("--lr", lr, "--hr", hr, "--dest", tmp_path / "out", "--report").code == 0
    found = report_of(tmp_path / "out")["pairs"]
    names = {Path(p["lr"]).stem: (Path(p["hr"]).stem, p["source"]) for p in found}
    assert names == {f"l{n}": (f"h{n}", "frame") for n in (0, 2, 4, 6)} | {"cropped": ("cropped", "features")}


def test_what_is_as_similar_as_the_best_is_compared_at_full_resolution(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    precise = candidates.precise_picture
    monkeypatch.setattr(candidates, "precise_picture", lambda *how: read.append(how[0].path.name) or precise(*how))
    whole = cv2.imread(str(folders.hr / "h0.png"))
    cv2.imwrite(str(folders.hr / "twin.png"), whole, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert run(*folders.flags).code == 0
    assert set(read) == {"h0.png", "l0.png", "twin.png"}
