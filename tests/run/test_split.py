"""Pairs are split so that nothing to validate with shows what there is to train on, and all else works as before."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from tests.support.command import Run, refused
from tests.support.folders import Folders, contents
from tests.support.interruption import interrupted_when_written
from tests.support.pictures import picture
from tests.support.report import VALIDATOR, report_of, rows_of
from twimager.review.review import Review

PHOTOS = "P1040518", "P1040102", "P1040480"
SPLIT = "--split", 0.6, "--report"
KINDS = "left", "right", "flipped"


@pytest.fixture
def crops(tmp_path: Path) -> Folders:
    """Of each of three photographs two crops that overlap, and one of them flipped, under names that say nothing."""
    made = Folders(tmp_path / "low", tmp_path / "high", tmp_path / "out")
    made.lr.mkdir()
    made.hr.mkdir()
    for number, name in enumerate(PHOTOS):
        photo = picture(name)[:300]
        parts = photo[:, :350], photo[:, 100:450], photo[:, 350:0:-1]
        for kind, hr in enumerate(parts):
            cv2.imwrite(str(made.hr / f"{KINDS[kind]}-{'abc'[number]}.png"), hr)
            lr = cv2.resize(hr, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(made.lr / f"{'xyz'[kind]}{'abc'[number]}.png"), lr)
    return made


def parts(dest: Path) -> dict[str, tuple[str, int]]:
    """The split and the group of each pair, by its HR."""
    report = report_of(dest)
    VALIDATOR.validate(report)
    return {Path(pair["hr"]).stem: (pair["split"], pair["group"]) for pair in report["pairs"]}


def images_of(dest: Path, split: str) -> dict[str, list[str]]:
    return {side: sorted(path.name for path in (dest / split / side).iterdir()) for side in ("LR", "HR")}


def test_crops_of_a_photograph_and_their_mirror_images_are_on_one_side(run: Run, crops: Folders) -> None:
    outcome = run(*crops.flags, *SPLIT)
    assert outcome.code == 0
    assert "split: 6 to train on, 3 to validate with, of 3 groups\n" in outcome.out
    found = parts(crops.dest)
    assert len(found) == 9
    assert len({group for _, group in found.values()}) == 3
    for photo in "abc":
        assert len({found[f"{kind}-{photo}"] for kind in KINDS}) == 1
    assert {path.name for path in crops.dest.iterdir()} >= {"train", "val"}
    assert not (crops.dest / "LR").exists()
    for split in ("train", "val"):
        of_split = sorted(f"{name}.png" for name, part in found.items() if part[0] == split)
        assert images_of(crops.dest, split) == {"LR": of_split, "HR": of_split}


@pytest.mark.slow
def test_the_files_are_those_of_a_run_without_a_split(run: Run, crops: Folders) -> None:
    plain = crops.dest.with_name("plain")
    run(*crops.flags[:4], "--dest", plain)
    run(*crops.flags, *SPLIT)
    for side in ("LR", "HR"):
        whole = {path.name: path.read_bytes() for path in (plain / side).iterdir()}
        assert whole == {path.name: path.read_bytes() for path in crops.dest.glob(f"*/{side}/*")}


@pytest.mark.slow
def test_the_seed_alone_decides_which_groups_are_drawn(run: Run, crops: Folders) -> None:
    drawn = []
    for seed, jobs in ((0, 1), (0, 3), (1, 2), (2, 2)):
        run(*crops.flags, *SPLIT, "--seed", seed, "--jobs", jobs, "--dry", "--overwrite")
        drawn.append(sorted(name for name, (split, _) in parts(crops.dest).items() if split == "val"))
    assert drawn[0] == drawn[1]
    assert len({tuple(names) for names in drawn}) > 1


@pytest.mark.slow
def test_each_side_has_lists_of_its_own(run: Run, crops: Folders) -> None:
    pytest.importorskip("lmdb")
    assert run(*crops.flags, *SPLIT, "--meta_info", "--hf", "--lmdb", "--names", "safe").code == 0
    for split in ("train", "val"):
        folder, names = crops.dest / split, images_of(crops.dest, split)["HR"]
        assert [line.split(" ")[0] for line in (folder / "meta_info.txt").read_text().splitlines()] == names
        paths = [line.split(", ") for line in (folder / "meta_info_pair.txt").read_text().splitlines()]
        assert paths == [[f"HR/{name}", f"LR/{name}"] for name in names]
        rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
        assert rows == [{"lr_file_name": f"LR/{name}", "hr_file_name": f"HR/{name}"} for name in names]
        for side in ("LR", "HR"):
            lines = (folder / f"{side}.lmdb/meta_info.txt").read_text().splitlines()
            assert [line.split(" ")[0] for line in lines] == names
            assert (folder / f"{side}.lmdb/data.mdb").is_file()


@pytest.mark.slow
def test_verify_gallery_and_review_work_on_it(run: Run, crops: Folders) -> None:
    run(*crops.flags, *SPLIT, "--meta_info", "--partial", "mask")
    assert run("verify", crops.dest).code == 0
    page = (crops.dest / "report.html").read_bytes()
    assert b"train/HR/" in page
    assert run("gallery", crops.dest / "report.json").code == 0
    assert (crops.dest / "report.html").read_bytes() == page
    before = contents(crops.dest)
    with Review(crops.dest / "report.json") as review:
        pair = next(pair for pair in review.pairs if pair.split == "val")
        review.delete(pair)
        assert all(not path.exists() for path in review.outputs(pair))
        review.undo()
        assert {name: data for name, data in contents(crops.dest).items() if name != "report.json"} == {
            name: data for name, data in before.items() if name != "report.json"
        }
        review.delete(pair)
    name = Path(pair.hr).name
    assert set(before) - set(contents(crops.dest)) == {f"val/{side}/{name}" for side in ("LR", "HR", "MASK")}
    assert name not in (crops.dest / "val/meta_info.txt").read_text()
    assert name not in {Path(row["hr_output"]).name for row in rows_of((crops.dest / "pairs.csv").read_bytes())}
    assert run("verify", crops.dest).code == 0
    assert not list((crops.dest / ".twimager").rglob("val"))


@pytest.mark.slow
def test_a_stray_file_on_one_side_is_found(run: Run, crops: Folders) -> None:
    run(*crops.flags, *SPLIT)
    (crops.dest / "val/HR/more.png").write_bytes(b"")
    assert "in neither journal nor report: val/HR/more.png" in run("verify", crops.dest).out


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_split(run: Run, crops: Folders) -> None:
    whole = crops.dest.with_name("whole")
    flags = *SPLIT, "--meta_info", "--jobs", 1
    run(*crops.flags[:4], "--dest", whole, *flags)
    with interrupted_when_written(5):
        assert run(*crops.flags, *flags).code == 130
    refused(run(*crops.flags, *flags, "--seed", 7, "--resume"), 2, "--seed")
    assert run(*crops.flags, *flags, "--resume").code == 0
    assert parts(crops.dest) == parts(whole)
    kept = [{name: data for name, data in contents(one).items() if "report" not in name} for one in (crops.dest, whole)]
    assert kept[0] == kept[1]


@pytest.mark.parametrize("name", ["train", "val/HR", "val/meta_info.txt"])
def test_no_link_on_either_side_is_written_through(run: Run, crops: Folders, tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (crops.dest / name).parent.mkdir(parents=True)
    (crops.dest / name).symlink_to(tmp_path / "elsewhere")
    refused(run(*crops.flags, *SPLIT, "--meta_info", "--overwrite"), 2, f"{crops.dest / name} is a link")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.slow
def test_tiles_are_listed_on_the_side_of_their_pair(run: Run, crops: Folders) -> None:
    flags = *SPLIT, "--tile", 100, "--meta_info", "--hf"
    assert run(*crops.flags, *flags).code == 0
    for split in ("train", "val"):
        names = images_of(crops.dest, split)["HR"]
        assert len(names) > 9
        assert all("_s" in name for name in names)
        lines = (crops.dest / split / "meta_info.txt").read_text().splitlines()
        assert lines == [f"{name} (100,100,3)" for name in names]
        rows = [json.loads(line) for line in (crops.dest / split / "metadata.jsonl").read_text().splitlines()]
        assert [row["hr_file_name"] for row in rows] == [f"HR/{name}" for name in names]
    assert run("verify", crops.dest).code == 0
    with Review(crops.dest / "report.json") as review:
        assert all(path.is_file() for path in review.outputs(review.pairs[0]))


@pytest.mark.slow
def test_the_limit_holds(run: Run, crops: Folders) -> None:
    assert "pairs written: 4\n" in run(*crops.flags, *SPLIT, "--limit", 4).out
    assert len(parts(crops.dest)) == 4


def test_a_single_group_is_all_to_train_on_and_a_line_says_so(run: Run, folders: Folders) -> None:
    (folders.lr / "l1.png").unlink()
    outcome = run(*folders.flags, *SPLIT, "--meta_info", "--hf")
    assert run(*folders.flags, *SPLIT, "--meta_info", "--hf", "--resume").out == outcome.out
    assert outcome.err.count("all pairs share content, so that there are none to validate with") == 1
    assert images_of(folders.dest, "train")["HR"] == ["h0.png"]
    assert not (folders.dest / "val").exists(), "Hugging Face fails at an empty list"
    assert "split: 1 to train on, 0 to validate with, of 1 group\n" in outcome.out


@pytest.mark.parametrize("share", [0, 1, -0.1, 90])
def test_a_share_is_between_none_and_all(run: Run, folders: Folders, share: float) -> None:
    refused(run(*folders.flags, "--split", share), 2, "--split must be above 0 and below 1")


@pytest.mark.slow
def test_an_image_in_several_pairs_is_on_one_side(run: Run, crops: Folders) -> None:
    run(*crops.flags, *SPLIT, "--all_matches", "--min_overlap", 0.5)
    sides: dict[str, set[str]] = {}
    for pair in report_of(crops.dest)["pairs"]:
        for path in (pair["lr"], pair["hr"]):
            sides.setdefault(path, set()).add(pair["split"])
    assert all(len(splits) == 1 for splits in sides.values())


@pytest.mark.slow
def test_frames_that_follow_one_another_stay_together(run: Run, tmp_path: Path) -> None:
    """Smooth frames hold no features; their numbers and thumbnails tell."""
    made = Folders(tmp_path / "low", tmp_path / "high", tmp_path / "out")
    for folder in (made.lr, made.hr):
        folder.mkdir()
    for number in range(8):
        shot = picture(("P1040518", "P1040102")[number // 4])[:300, :450]
        hr = cv2.GaussianBlur(shot, (0, 0), 12)
        hr = cv2.convertScaleAbs(hr, alpha=1 - 0.03 * number)
        cv2.imwrite(str(made.hr / f"frame_{number + 7}.png"), hr)
        cv2.imwrite(str(made.lr / f"l{number}.png"), cv2.resize(hr, (225, 150), interpolation=cv2.INTER_AREA))
    run(*made.flags, "--split", 0.5, "--report", "--dry")
    found = {Path(pair["hr"]).stem: pair["group"] for pair in report_of(made.dest)["pairs"]}
    assert len(found) >= 6
    assert len(set(found.values())) == 2
