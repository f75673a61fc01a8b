"""Pairs of which a part shows something else: rejected, cut, masked or black, and what becomes of the masks."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders, contents
from tests.support.report import VALIDATOR, report_of
from twimager import AlignmentError, align
from twimager.review.review import Review

# Of the LR's 150 x 100 pixels, those that its caption covers.
CAPTION = np.s_[70:, :]


@pytest.fixture
def captioned(folders: Folders) -> Folders:
    """The folders, with a caption over the lower part of the LR l0."""
    lr = cv2.imread(str(folders.lr / "l0.png"))
    lr[CAPTION] = 245
    for y in (82, 96):
        cv2.putText(lr, "nobody looks at it", (4, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (20, 20, 20), 1, cv2.LINE_AA)
    cv2.imwrite(str(folders.lr / "l0.png"), lr)
    return folders


def read(dest: Path, name: str) -> np.ndarray:
    return np.asarray(cv2.imread(str(dest / name), cv2.IMREAD_UNCHANGED))


def test_it_is_rejected_with_the_share_named(run: Run, captioned: Folders) -> None:
    assert run(*captioned.flags, "--report").code == 0
    report = report_of(captioned.dest)
    assert [Path(pair["lr"]).name for pair in report["pairs"]] == ["l1.png"]
    rejected = next(pair for pair in report["rejected_pairs"] if pair["different"])
    assert rejected["reason"] == "part of the LR shows something else"
    share, _, rest = rejected["detail"].partition(" ")
    assert 25 <= int(share) <= 35
    assert rest == "% of the LR shows something else; --partial keeps the rest"


def test_a_cut_pair_ends_where_the_caption_begins(run: Run, captioned: Folders) -> None:
    assert run(*captioned.flags, "--partial", "cut").code == 0
    lr, hr = (read(captioned.dest, f"{side}/h0.png") for side in ("LR", "HR"))
    assert lr.shape[1] >= 146
    assert 66 <= lr.shape[0] <= 70
    assert hr.shape[:2] == (2 * lr.shape[0], 2 * lr.shape[1])


@pytest.mark.slow
def test_a_cut_that_leaves_too_little_is_none(run: Run, captioned: Folders) -> None:
    flags = "--partial", "cut", "--min_overlap", 0.8, "--report"
    assert run(*captioned.flags, *flags).code == 0
    report = report_of(captioned.dest)
    assert len(report["pairs"]) == 1
    details = [pair["detail"] for pair in report["rejected_pairs"]]
    assert any(" of the LR shows something else, " in detail for detail in details)


@pytest.mark.parametrize(
    "flags", [(), ("--scale", "1.5"), ("--format", "webp"), ("--output", "hr"), ("--output", "lr")]
)
def test_every_pair_has_a_mask_of_its_hrs_size(run: Run, captioned: Folders, flags: tuple[str, ...]) -> None:
    assert run(*captioned.flags, "--partial", "mask", "--report", *flags).code == 0
    masks = {name: read(captioned.dest, name) for name in contents(captioned.dest) if name.startswith("MASK/")}
    assert list(masks) == ["MASK/h0.png", "MASK/h1.png"]
    scale = 1.5 if "1.5" in flags else 2
    mask = masks["MASK/h0.png"]
    assert mask.dtype == np.uint8
    assert mask.shape == pytest.approx((100 * scale, 150 * scale), abs=4)
    assert mask[int(70 * scale) :].max() == 0
    assert mask[: int(60 * scale)].min() == 255
    assert (masks["MASK/h1.png"] == 255).all()
    if "--output" not in flags:
        report = report_of(captioned.dest)
        VALIDATOR.validate(report)
        for pair in report["pairs"]:
            assert read(captioned.dest, pair["mask_output"]).shape == read(captioned.dest, pair["hr_output"]).shape[:2]
    assert run("verify", captioned.dest).code == 0


def test_what_differs_is_black_on_both_sides(run: Run, captioned: Folders) -> None:
    assert run(*captioned.flags, "--partial", "black").code == 0
    lr, hr = (read(captioned.dest, f"{side}/h0.png") for side in ("LR", "HR"))
    assert lr[70:].max() == hr[140:].max() == 0
    assert lr[:60].mean() > 20
    assert not (captioned.dest / "MASK").exists()


def test_masks_are_verified_resumed_and_reviewed_as_the_pictures_are(run: Run, captioned: Folders) -> None:
    flags = *captioned.flags, "--partial", "mask", "--report"
    assert run(*flags).code == 0
    dest, before = captioned.dest, contents(captioned.dest)
    (dest / "MASK/h1.png").unlink()
    (dest / "report.json").unlink()
    outcome = run("verify", dest)
    assert outcome.code == 3
    assert "missing: MASK/h1.png" in outcome.out
    assert run(*flags, "--resume").code == 0
    assert contents(dest)["MASK/h1.png"] == before["MASK/h1.png"]
    (dest / "MASK/other.png").write_bytes(b"")
    assert "in neither journal nor report: MASK/other.png" in run("verify", dest).out
    (dest / "MASK/other.png").unlink()
    with Review(dest / "report.json") as review:
        pair = next(pair for pair in review.pairs if Path(pair.hr).stem == "h0")
        assert [path.parent.name for path in review.outputs(pair)] == ["LR", "HR", "MASK"]
        review.delete(pair)
        assert not (dest / "MASK/h0.png").exists()
        assert review.undo() is not None
        assert (dest / "MASK/h0.png").read_bytes() == before["MASK/h0.png"]
        review.delete(pair)
    assert sorted(path.name for path in (dest / "MASK").iterdir()) == ["h1.png"]
    assert not (dest / ".twimager/trash").exists()


def test_a_link_in_place_of_the_masks_is_refused(run: Run, captioned: Folders, tmp_path: Path) -> None:
    captioned.dest.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (captioned.dest / "MASK").symlink_to(tmp_path / "elsewhere")
    outcome = run(*captioned.flags, "--partial", "mask", "--overwrite")
    assert outcome.code == 2
    assert "MASK is a link" in outcome.err


@pytest.mark.slow
def test_programs_have_it_too(captioned: Folders) -> None:
    files = captioned.hr / "h0.png", captioned.lr / "l0.png"
    with pytest.raises(AlignmentError, match="--partial"):
        align(*files)
    masked = align(*files, partial="mask")
    assert masked.window[3] >= 96
    assert masked.mask(scale=3).shape == (300, 450)
    assert masked.mask(scale=3)[210:].max() == 0
    assert masked.mask().mean() > 150
    assert 66 <= align(*files, partial="cut").window[3] <= 70
    assert align(*files, max_difference=1).window[3] >= 96


def test_other_pictures_have_no_mask(run: Run, captioned: Folders) -> None:
    (captioned.hr / "h0.png").unlink()
    assert run(*captioned.flags, "--partial", "mask").code == 0
    assert sorted(contents(captioned.dest)) == ["HR/h1.png", "LR/h1.png", "MASK/h1.png"]
