"""--max_color_distance: of pictures that differ in nothing but their colours, the right one."""

import json
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support.command import Run, refused
from tests.support.folders import Folders, contents
from tests.support.icc import adobe_rgb
from tests.support.paths import EXAMPLES
from tests.support.pictures import CAST, cat
from tests.support.report import report_of
from twimager.errors import Reason

# Those of the examples that have strong colours, and one that is nearly gray: there the nearer colour is chosen.
VIVID = ("still_02", "still_07", "still_09")
COLORED = (*VIVID, "still_05")


def recolored(pixels: np.ndarray, degrees: float = 80) -> np.ndarray:
    """The same picture, as bright everywhere, with its hues turned."""
    luma, red, blue = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_BGR2YCrCb).astype(np.float32))
    turned = (red - 128 + 1j * (blue - 128)) * np.exp(1j * np.radians(degrees))
    parts = [luma, turned.real + 128, turned.imag + 128]
    return cv2.cvtColor(np.clip(np.stack(parts, axis=-1), 0, 255).astype(np.uint8), cv2.COLOR_YCrCb2BGR)


def pairs_of(report: dict[str, Any]) -> dict[str, str]:
    return {Path(pair["lr"]).stem: Path(pair["hr"]).stem for pair in report["pairs"]}


@pytest.fixture
def twins(tmp_path: Path) -> Folders:
    """Example LRs, their HRs, and of every HR a twin in other colours that comes first by name."""
    made = Folders(tmp_path / "low", tmp_path / "high", tmp_path / "out")
    made.lr.mkdir()
    made.hr.mkdir()
    for name in COLORED:
        lr, hr = (next((EXAMPLES / side).glob(f"{stem}.*")) for side, stem in (("LR", name), ("HR", CAST[name])))
        shutil.copy(lr, made.lr)
        shutil.copy(hr, made.hr)
        cv2.imwrite(str(made.hr / f"A_{hr.stem}.png"), recolored(cv2.imread(str(hr))))
    return made


@pytest.mark.slow
def test_the_right_colour_is_chosen_and_the_wrong_one_rejected(run: Run, twins: Folders) -> None:
    assert run(*twins.flags, "--report", "--max_color_distance", 8).code == 0
    report = report_of(twins.dest)
    assert pairs_of(report) == {name: CAST[name] for name in COLORED}
    assert all(pair["color_distance"] < 3 for pair in report["pairs"])
    wrong = {Path(pair["hr"]).stem: pair for pair in report["rejected_pairs"] if pair["reason"] == Reason.COLOR.value}
    assert set(wrong) == {f"A_{CAST[name]}" for name in VIVID}
    assert all(pair["color_distance"] > 8 for pair in wrong.values())
    assert report["settings"]["max_color_distance"] == 8


def test_without_it_the_right_colour_is_chosen_and_the_wrong_one_a_rival(run: Run, twins: Folders) -> None:
    assert run(*twins.flags, "--report").code == 0
    report = report_of(twins.dest)
    right = {
        Path(pair["lr"]).stem: pair for pair in report["pairs"] if CAST[Path(pair["lr"]).stem] == Path(pair["hr"]).stem
    }
    assert set(VIVID) <= set(right)
    assert all([Path(hr).stem for hr in right[name]["rivals"]] == [f"A_{CAST[name]}"] for name in VIVID)
    assert all(pair["color_distance"] is None for pair in (*report["pairs"], *report["rejected_pairs"]))


def test_a_wrong_colour_alone_makes_no_pair(run: Run, folders: Folders) -> None:
    (folders.lr / "l1.png").unlink()
    (folders.hr / "h1.png").unlink()
    cv2.imwrite(str(folders.hr / "h0.png"), recolored(cat()[:300, :450]))
    outcome = run(*folders.flags, "--report", "--max_color_distance", 8, "--json")
    assert outcome.code == 4
    assert json.loads(outcome.out)["closest"] == {Reason.COLOR.value: 1}
    assert run(*folders.flags, "--overwrite").code == 0


def test_what_passes_is_the_same_as_without_it(run: Run, folders: Folders) -> None:
    run(*folders.flags)
    before = contents(folders.dest)
    run(*folders.flags[:4], "--dest", folders.dest.with_name("again"), "--max_color_distance", 8)
    assert contents(folders.dest.with_name("again")) == before


def test_a_part_in_the_right_colour_beats_the_whole_in_another(run: Run, folders: Folders) -> None:
    cv2.imwrite(str(folders.hr / "h0.png"), cat()[20:260, 30:400])
    cv2.imwrite(str(folders.hr / "whole.png"), recolored(cat()[:300, :450]))
    run(*folders.flags, "--report", "--max_color_distance", 8)
    assert pairs_of(report_of(folders.dest))["l0"] == "h0"


def test_an_hr_is_compared_in_the_colours_of_its_profile(run: Run, folders: Folders) -> None:
    """Adobe RGB read as sRGB is paler, by a Delta E of three and more in vivid pictures."""
    vivid = cv2.imread(str(next((EXAMPLES / "HR").glob(f"{CAST['still_09']}.*"))))
    cv2.imwrite(str(folders.lr / "l1.png"), cv2.resize(vivid, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA))
    back = ImageCms.profileToProfile(
        Image.fromarray(vivid[..., ::-1]), ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(BytesIO(adobe_rgb())),
    )  # fmt: skip
    back.save(folders.hr / "h1.png", icc_profile=adobe_rgb())
    distances = []
    for flags in ([], ["--keep_icc"]):
        dest = folders.dest.with_name(f"out{len(flags)}")
        run(*folders.flags[:4], "--dest", dest, "--report", "--max_color_distance", 80, *flags)
        pairs = {Path(pair["lr"]).stem: pair["color_distance"] for pair in report_of(dest)["pairs"]}
        distances.append(pairs["l1"])
    assert distances[0] < 1
    assert distances[1] > 2 * distances[0]


def test_mirrored_and_deep_pictures(run: Run, folders: Folders) -> None:
    for name, pixels in (("h0", cat()[:300, :450]), ("a_h0", recolored(cat()[:300, :450]))):
        cv2.imwrite(str(folders.hr / f"{name}.png"), pixels[:, ::-1].astype(np.uint16) * 257)
    run(*folders.flags, "--report", "--max_color_distance", 8)
    pairs = {Path(pair["lr"]).stem: pair for pair in report_of(folders.dest)["pairs"]}
    assert Path(pairs["l0"]["hr"]).stem == "h0"
    assert pairs["l0"]["mirrored"]
    assert pairs["l0"]["color_distance"] < 0.5


@pytest.mark.parametrize("given", ["0", "-3", "nan"])
def test_distances_that_do_not_fit(run: Run, folders: Folders, given: str) -> None:
    refused(run(*folders.flags, "--max_color_distance", given), 2, "--max_color_distance", "above 0")
