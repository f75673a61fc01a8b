"""The whole job through the command line."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.known_warp import degraded, error, framing, seen_through
from tests.support.command import Run
from tests.support.folders import KEPT, Folders, contents
from tests.support.paths import EXAMPLES
from tests.support.pictures import CAST, cat, picture, shift
from tests.support.report import report_of
from twimager.errors import UnreadableImage
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR, Fingerprint
from twimager.geometry import scaling
from twimager.image.displacement import Displacement
from twimager.image.warp import resample
from twimager.pairing import rounds
from twimager.propose import by_frame, by_similarity
from twimager.propose.by_features import FeatureIndex
from twimager.propose.proposal import Proposal, Source
from twimager.windows import viewer
from twimager.windows.viewer import Action


def again(path: Path, to: Path, number: int = 0) -> None:
    """Write the same pixels in a file of other bytes."""
    to.write_bytes(path.read_bytes() + bytes([number]))


def test_the_examples_are_paired_as_they_should_be(run: Run, tmp_path: Path) -> None:
    outcome = run("--lr", EXAMPLES / "LR", "--hr", EXAMPLES / "HR", "--dest", tmp_path / "out", "--report")
    assert outcome.code == 0
    report = report_of(tmp_path / "out")
    assert {Path(p["lr"]).stem: Path(p["hr"]).stem for p in report["pairs"]} == CAST
    for pair in report["pairs"]:
        lr, hr = (cv2.imread(pair[key]) for key in ("lr_output", "hr_output"))
        assert hr.shape == (lr.shape[0] * 2, lr.shape[1] * 2, 3)
        x, y, width, height = pair["window"]
        assert (lr == cv2.imread(pair["lr"])[y : y + height, x : x + width]).all()


def test_every_stage_is_timed(run: Run, folders: Folders) -> None:
    cv2.imwrite(str(folders.lr / "alone.png"), np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8))
    outcome = run(*folders.flags, "--report", "-vv")
    seconds = report_of(folders.dest)["seconds"]
    stages = ["reading LR", "reading HR", "matching", "finding features", "searching"]
    stages += ["searching again", "reading again"]
    assert list(seconds) == stages
    assert all(value >= 0 for value in seconds.values())
    assert all(f"{stage}: " in outcome.err for stage in seconds)


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_workers(run: Run, tmp_path: Path) -> None:
    for jobs in (1, 4):
        flags = "--lr", EXAMPLES / "LR", "--hr", EXAMPLES / "HR", "--dest", tmp_path / str(jobs)
        assert run(*flags, "--jobs", jobs, "--color_transfer", "--method", "warp").code == 0
    assert contents(tmp_path / "1") == contents(tmp_path / "4") != {}


@pytest.mark.parametrize("scale", ["1", "2", "3", "4", "1.5", "0.5"])
def test_sizes_are_exact_and_nothing_is_shifted(run: Run, folders: Folders, scale: str) -> None:
    assert run(*folders.flags, "--scale", scale, "--report").code == 0
    for pair in report_of(folders.dest)["pairs"]:
        lr, hr, source = (cv2.imread(pair[key]) for key in ("lr_output", "hr_output", "hr"))
        assert (hr.shape[0], hr.shape[1]) == (lr.shape[0] * float(scale), lr.shape[1] * float(scale))
        x, y, width, height = pair["window"]
        seen = source[y * 3 : (y + height) * 3, x * 3 : (x + width) * 3]
        expected = cv2.resize(seen, hr.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert shift(expected, hr) / float(scale) < 0.04


def test_an_lr_of_which_nothing_is_cut_keeps_its_bytes(run: Run, folders: Folders) -> None:
    run(*folders.flags)
    assert (folders.dest / "LR/h0.png").read_bytes() == (folders.lr / "l0.png").read_bytes()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], ["HR/h0.png", "HR/h1.png", "LR/h0.png", "LR/h1.png"]),
        (["--output", "lr"], ["LR/h0.png", "LR/h1.png"]),
        (["--output", "hr", "--report"], ["HR/h0.png", "HR/h1.png", *KEPT]),
        (["--filename", "lr"], ["HR/l0.png", "HR/l1.png", "LR/l0.png", "LR/l1.png"]),
        (["--filename", "keep"], ["HR/h0.png", "HR/h1.png", "LR/l0.png", "LR/l1.png"]),
        (["--prefix", "P", "--suffix", "S", "--output", "hr"], ["HR/P_h0_S.png", "HR/P_h1_S.png"]),
        (["--limit", "1"], ["HR/h0.png", "LR/h0.png"]),
        (["--dry"], []),
        (["--dry", "--report"], KEPT),
        (["--dry", "--report", "--limit", "1", "--output", "lr"], KEPT),
        (["--limit", "1", "--report"], ["HR/h0.png", "LR/h0.png", *KEPT]),
    ],
)
def test_what_is_written_where(run: Run, folders: Folders, flags: list[str], expected: list[str]) -> None:
    assert run(*folders.flags, *flags).code == 0
    assert sorted(contents(folders.dest) if folders.dest.exists() else []) == [str(Path(p)) for p in expected]


def test_dry_needs_no_dest(run: Run, folders: Folders) -> None:
    outcome = run("--lr", folders.lr, "--hr", folders.hr, "--dry")
    assert outcome.code == 0
    assert "pairs found: 2" in outcome.out


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_limit_is_exact(run: Run, tmp_path: Path, jobs: int) -> None:
    flags = "--lr", EXAMPLES / "LR", "--hr", EXAMPLES / "HR", "--dest", tmp_path / "out", "--limit", 3, "--report"
    assert run(*flags, "--jobs", jobs).code == 0
    report = report_of(tmp_path / "out")
    assert len(report["pairs"]) == len(list((tmp_path / "out/HR").iterdir())) == 3
    left = [image["reason"] for image in report["rejected_images"] if image["side"] == "HR"]
    assert left == ["not reached"] * 6


def test_the_report_accounts_for_everything(run: Run, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "LR", tmp_path / "low")
    (tmp_path / "low/broken.png").write_bytes(b"nothing")
    run("--lr", tmp_path / "low", "--hr", EXAMPLES / "HR", "--dest", tmp_path / "out", "--report", "--scale", "1.5")
    report = report_of(tmp_path / "out")
    assert report["settings"]["scale"] == 1.5
    assert report["schema_version"] == 4
    pair = next(p for p in report["pairs"] if Path(p["lr"]).stem == "still_03")
    assert Path(pair["hr_output"]) == tmp_path / "out/HR/P1040771.png"
    assert np.array(pair["matrix"]).shape == (3, 3)
    assert pair["source"] == "frame"
    assert pair["inliers"] is None
    assert pair["coverage"] > 0.99
    assert 0 <= pair["hash_distance"] <= 12
    mentioned = {Path(p[side]).name for p in report["pairs"] for side in ("lr", "hr")}
    mentioned |= {Path(image["path"]).name for image in report["rejected_images"]}
    assert mentioned == {p.name for folder in (tmp_path / "low", EXAMPLES / "HR") for p in folder.iterdir()}
    reasons = {Path(image["path"]).name: image["reason"] for image in report["rejected_images"]}
    assert reasons["broken.png"] == "unreadable"
    assert reasons["still_04.png"] == "nothing similar"


def test_images_with_equal_hashes_all_take_part(run: Run, folders: Folders) -> None:
    for folder in (folders.lr, folders.hr):
        source = next(p for p in folder.iterdir() if p.stem.endswith("0"))
        for number in range(2, 5):
            shutil.copy(source, folder / f"{source.stem[0]}{number}.png")
    outcome = run(*folders.flags)
    assert outcome.code == 0
    assert "pairs written: 5" in outcome.out
    assert len(list((folders.dest / "HR").iterdir())) == 5


def test_equal_stems_never_overwrite_each_other(run: Run, folders: Folders) -> None:
    (folders.hr / "sub").mkdir()
    (folders.hr / "h1.png").rename(folders.hr / "sub/h0.png")
    cv2.imwrite(str(folders.lr / "third.png"), picture("P1040771")[::2, ::2])
    cv2.imwrite(str(folders.hr / "h0.jpg"), picture("P1040771"))
    expected = {"h0_jpg.png", "h0_png.png", "sub_h0.png"}
    for _ in range(2):
        assert run(*folders.flags, "--recursive", "--overwrite").code == 0
        assert {p.name for p in (folders.dest / "HR").iterdir()} == expected
    assert {p.name for p in (folders.dest / "LR").iterdir()} == expected


def test_16_bit_and_gray_sources(run: Run, folders: Folders) -> None:
    deep = cv2.imread(str(folders.hr / "h0.png")).astype(np.uint16) * 257
    cv2.imwrite(str(folders.hr / "h0.png"), deep)
    gray = cv2.imread(str(folders.hr / "h1.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(folders.hr / "h1.png"), gray)
    assert run(*folders.flags, "--color_transfer").err == ""
    assert cv2.imread(str(folders.dest / "HR/h0.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint16
    assert cv2.imread(str(folders.dest / "HR/h1.png"), cv2.IMREAD_UNCHANGED).shape[2] == 3


def test_keep_shows_the_whole_lr(run: Run, folders: Folders) -> None:
    lr = cv2.copyMakeBorder(cv2.imread(str(folders.lr / "l0.png")), 0, 0, 12, 0, cv2.BORDER_REFLECT)
    cv2.imwrite(str(folders.lr / "l0.png"), lr)
    assert run(*folders.flags, "--border", "keep").code == 0
    assert (folders.dest / "LR/h0.png").read_bytes() == (folders.lr / "l0.png").read_bytes()
    hr = cv2.imread(str(folders.dest / "HR/h0.png"))
    assert hr.shape[:2] == (200, 324)
    assert hr[:, :22].max() == 0
    shutil.rmtree(folders.dest)
    assert run(*folders.flags).code == 0
    assert cv2.imread(str(folders.dest / "HR/h0.png")).shape[1] <= 300


def test_min_overlap_and_threshold_turn_pairs_down(run: Run, folders: Folders) -> None:
    cv2.imwrite(str(folders.hr / "h0.png"), cat()[:300, :400])
    run(*folders.flags, "--min_overlap", "0.95", "--distance", 20, "--report")
    report = report_of(folders.dest)
    assert [Path(p["lr"]).name for p in report["pairs"]] == ["l1.png"]
    rejected = next(p for p in report["rejected_pairs"] if p["lr"].endswith("l0.png"))
    assert rejected["reason"] == "too little overlap"
    assert rejected["coverage"] == pytest.approx(400 / 450, abs=0.01)


def reframed(hr: np.ndarray, **framing_of_it: Any) -> tuple[np.ndarray, np.ndarray]:
    """A degraded LR of a part of an HR, and the matrix that goes with it."""
    truth, size = framing((hr.shape[1], hr.shape[0]), **framing_of_it)
    return degraded(seen_through(truth, hr, size), np.random.default_rng(0)), truth


def test_an_lr_that_loses_its_hr_gets_proposals_by_hash(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two pairs of one picture, of which the features propose one HR only."""
    for side in (folders.lr, folders.hr):
        again(next(side.glob("?0.png")), next(side.glob("?1.png")))

    def first_hr_only(index: FeatureIndex, lrs: list[Fingerprint], **_: bool) -> Iterator[list[Proposal]]:
        first = fingerprint(folders.hr / "h0.png", LIGHT_HR)
        yield from ([Proposal(lr, first, Source.FEATURES)] for lr in lrs)

    monkeypatch.setattr(by_frame, "MIN_SHARE", 2)
    monkeypatch.setattr(by_similarity, "ALIKE", 2)
    monkeypatch.setattr(FeatureIndex, "propose", first_hr_only)
    assert run(*folders.flags, "--report").code == 0
    pairs = report_of(folders.dest)["pairs"]
    assert {Path(pair["hr"]).name: pair["source"] for pair in pairs} == {"h0.png": "features", "h1.png": "hash"}


def test_what_few_features_leave_over_is_found_by_many(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    for light in ("LIGHT_LR", "LIGHT_HR"):
        monkeypatch.setattr(rounds, light, getattr(rounds, light)._replace(features=3))
    assert run(*folders.flags, "--search", "features", "--report").code == 0
    report = report_of(folders.dest)
    assert {Path(pair["lr"]).stem: Path(pair["hr"]).stem for pair in report["pairs"]} == {"l0": "h0", "l1": "h1"}
    assert "reading again" in report["seconds"]
    judged = [(pair["lr"], pair["hr"], pair["mirrored"]) for pair in report["rejected_pairs"]]
    assert len(judged) == len(set(judged))


@pytest.mark.slow
def test_max_error_rejects_what_is_not_registered(run: Run, folders: Folders) -> None:
    assert run(*folders.flags, "--max_error", 0.5).code == 0
    other = folders.dest.with_name("strict")
    outcome = run(*folders.flags[:5], other, "--max_error", 0.0001, "--report")
    assert outcome.code == 4
    rejected = report_of(other)["rejected_pairs"]
    displaced = {Path(pair["lr"]).stem for pair in rejected if pair["reason"] == "aligned pair is shifted or bent"}
    assert displaced == {"l0", "l1"}


@pytest.mark.slow
def test_hrs_with_too_few_pixels_are_named_and_rejected(run: Run, folders: Folders) -> None:
    plain = run(*folders.flags, "--scale", 3, "--report")
    assert "warning" not in plain.out
    for pair in report_of(folders.dest)["pairs"]:
        assert pair["native_scale"] == pytest.approx(1, abs=0.002)
    enlarged = run(*folders.flags[:4], "--dry", "--scale", 4)
    assert "warning: 2 of 2 HRs have fewer pixels that hold detail than --scale 4 asks for" in enlarged.out
    assert "--scale 2.99 would" in enlarged.out or "--scale 3 would" in enlarged.out
    assert run(*folders.flags[:4], "--dry", "--scale", 3, "--min_native_scale", 1).code == 0
    assert run(*folders.flags[:4], "--dry", "--scale", 4, "--min_native_scale", 1).code == 4


@pytest.mark.parametrize("method", ["flow", "auto"])
def test_a_displaced_picture_is_registered(run: Run, folders: Folders, method: str) -> None:
    size = 150, 100
    flat = Displacement.zero(size, (4, 3))
    displacement = Displacement(np.random.default_rng(1).uniform(-3, 3, flat.controls.shape), flat.to_knots)
    hr = cv2.imread(str(folders.hr / "h0.png"))
    cv2.imwrite(str(folders.lr / "l0.png"), resample(hr, scaling(1 / 3), size, displacement=displacement))
    assert run(*folders.flags, "--method", method, "--report", "--border", "keep").code == 0
    pairs = report_of(folders.dest)["pairs"]
    assert [pair["flow"] is not None for pair in pairs] == [True, False]
    lr, written = (cv2.imread(str(folders.dest / side / "h0.png")) for side in ("LR", "HR"))
    assert written.shape[:2] == (200, 300)
    there = np.s_[10:-10, 10:-10]
    small = cv2.resize(written, size, interpolation=cv2.INTER_AREA)
    unbent = resample(hr, scaling(1 / 3), size)
    left, before = (np.abs(p[there].astype(int) - lr[there]).mean() for p in (small, unbent))
    assert left < before / 5


@pytest.mark.parametrize("search", ["auto", "features"])
def test_another_framing_is_found_by_features_and_not_by_hashes(run: Run, folders: Folders, search: str) -> None:
    hr = cv2.imread(str(folders.hr / "h1.png"))
    lr, truth = reframed(hr, keep=0.55, scale=0.6, degrees=6, stretch=1.1)
    cv2.imwrite(str(folders.lr / "l1.png"), lr)
    assert run(*folders.flags, "--search", search, "--report").code == 0
    pair = next(p for p in report_of(folders.dest)["pairs"] if p["lr"].endswith("l1.png"))
    assert pair["source"] == "features"
    assert pair["residual"] < 0.5
    assert error(np.array(pair["matrix"]), truth, (lr.shape[1], lr.shape[0])) < 0.1
    shutil.rmtree(folders.dest)
    assert "pairs written: 1" in run(*folders.flags, "--search", "hash").out


def test_mirrored_pairs_are_found_and_turned_the_lrs_way(run: Run, folders: Folders) -> None:
    lr = cv2.imread(str(folders.lr / "l0.png"))
    cv2.imwrite(str(folders.lr / "l0.png"), lr[:, ::-1])
    assert run(*folders.flags, "--report").code == 0
    mirrored = {Path(p["lr"]).name: p["mirrored"] for p in report_of(folders.dest)["pairs"]}
    assert mirrored == {"l0.png": True, "l1.png": False}
    written = cv2.imread(str(folders.dest / "HR/h0.png"))
    expected = cv2.resize(lr[:, ::-1], written.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    assert shift(expected, written) < 0.1
    shutil.rmtree(folders.dest)
    assert "pairs written: 1" in run(*folders.flags, "--no_mirror").out


def test_an_lr_with_too_few_features_is_framed_by_its_hash(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_frame, "MIN_SHARE", 2)
    smooth = cv2.GaussianBlur(cat()[:300, :450], (0, 0), 60)
    cv2.imwrite(str(folders.hr / "h0.png"), smooth)
    cv2.imwrite(str(folders.lr / "l0.png"), cv2.resize(smooth, (150, 100), interpolation=cv2.INTER_AREA))
    assert run(*folders.flags, "--report").code == 0
    pair = next(p for p in report_of(folders.dest)["pairs"] if p["lr"].endswith("l0.png"))
    assert pair["hr"].endswith("h0.png")
    assert pair["source"] == "hash"
    assert error(np.array(pair["matrix"]), scaling(1 / 3), (150, 100)) < 0.1


def test_all_matches_writes_every_pair_that_passes(run: Run, folders: Folders) -> None:
    shutil.copy(folders.lr / "l0.png", folders.lr / "again.png")
    shutil.copy(folders.hr / "h0.png", folders.hr / "twin.png")
    assert "pairs written: 3" in run(*folders.flags).out
    shutil.rmtree(folders.dest)
    assert "pairs written: 5" in run(*folders.flags, "--all_matches").out
    expected = {f"{hr}__{lr}.png" for hr in ("h0", "twin") for lr in ("l0", "again")} | {"h1__l1.png"}
    assert {p.name for p in (folders.dest / "HR").iterdir()} == expected
    assert {p.name for p in (folders.dest / "LR").iterdir()} == expected


def test_a_true_tie_names_its_rivals(run: Run, folders: Folders) -> None:
    shutil.copy(folders.hr / "h0.png", folders.hr / "twin.png")
    run(*folders.flags, "--report")
    pair = next(p for p in report_of(folders.dest)["pairs"] if p["lr"].endswith("l0.png"))
    assert pair["hr"].endswith("h0.png")
    assert [Path(rival).name for rival in pair["rivals"]] == ["twin.png"]


@pytest.mark.slow
def test_many_copies_are_compared_a_few_at_a_time_and_the_report_says_so(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_frame, "MAX_PROPOSED", 4)
    for folder, first in ((folders.lr, "l0.png"), (folders.hr, "h0.png")):
        for number in range(12):
            again(folder / first, folder / f"copy{number:02}.png", number)
    outcome = run(*folders.flags, "--report")
    assert "pairs written: 14" in outcome.out
    report = report_of(folders.dest)
    # The others are paired by their frame before.
    assert report["candidates"]["lrs_with_more"] == 13 - by_frame.MAX_PROPOSED
    assert len(report["rejected_pairs"]) < 14 * 12


def test_odd_sizes_and_colours_end_without_a_pair_or_a_crash(run: Run, tmp_path: Path) -> None:
    shapes = {"one": (1, 1), "wide": (10, 3000), "black": (100, 150), "white": (100, 150)}
    for side in ("low", "high"):
        (tmp_path / side).mkdir()
        for name, shape in shapes.items():
            cv2.imwrite(str(tmp_path / side / f"{name}.png"), np.full((*shape, 3), 255 * (name == "white"), np.uint8))
    outcome = run("--lr", tmp_path / "low", "--hr", tmp_path / "high", "--dest", tmp_path / "out")
    assert (outcome.code, outcome.err) == (4, "")


@pytest.mark.parametrize(
    ("answers", "code", "written"),
    [
        ([Action.ACCEPT, Action.ACCEPT], 0, ["h0.png", "h1.png"]),
        ([Action.SKIP, Action.ACCEPT], 0, ["h1.png"]),
        ([Action.ACCEPT, Action.ABORT], 130, ["h0.png"]),
        ([Action.ABORT], 130, []),
    ],
)
def test_debug_shows_each_pair(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch, answers: list[Action], code: int, written: list[str]
) -> None:
    left = iter(answers)
    monkeypatch.setattr(viewer, "require_display", lambda _: None)
    monkeypatch.setattr(viewer, "read_action", lambda *_: next(left))
    monkeypatch.setattr(viewer, "close", lambda: None)
    assert run(*folders.flags, "--debug", "--report").code == code
    found = sorted(p.name for p in (folders.dest / "HR").iterdir()) if (folders.dest / "HR").exists() else []
    assert found == written
    assert len(report_of(folders.dest)["pairs"]) == len(written)
    assert list(left) == []


def test_debug_rejects_a_pair_that_can_not_be_shown(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter((UnreadableImage("h0.png is gone"), MemoryError()))

    def failing(_: object) -> Action:
        raise next(failures)

    monkeypatch.setattr(viewer, "require_display", lambda _: None)
    monkeypatch.setattr(viewer, "read_action", failing)
    monkeypatch.setattr(viewer, "close", lambda: None)
    outcome = run(*folders.flags, "--debug", "--report")
    assert outcome.code == 4
    assert "pairs that could not be written: 2" in outcome.out
    assert outcome.err.count("could not be written") == 2
    report = report_of(folders.dest)
    assert report["pairs"] == []
    assert {pair["reason"] for pair in report["rejected_pairs"]} == {"could not be written"}
    assert "h0.png is gone" in {pair["detail"] for pair in report["rejected_pairs"]}


def test_debug_and_limit_and_dry_work_together(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr(viewer, "require_display", lambda _: None)
    monkeypatch.setattr(viewer, "read_action", lambda picture: shown.append(picture) or Action.ACCEPT)
    monkeypatch.setattr(viewer, "close", lambda: None)
    assert run(*folders.flags, "--debug", "--dry", "--limit", 1, "--report").code == 0
    assert len(shown) == 1
    assert sorted(contents(folders.dest)) == KEPT


@pytest.mark.parametrize("side", ["lr", "hr"])
def test_a_side_of_which_nothing_can_be_read_ends_without_a_pair(run: Run, folders: Folders, side: str) -> None:
    for path in getattr(folders, side).iterdir():
        path.write_bytes(b"nothing")
    outcome = run(*folders.flags)
    assert outcome.code == 4
    assert "files that could not be read: 2" in outcome.out
