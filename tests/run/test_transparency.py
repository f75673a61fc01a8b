"""Cut-outs find the pictures that they are of, laid on whatever background, and are written alike."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.output.test_render import pair_of
from tests.output.test_transparency import cut_out, flat
from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.pictures import picture
from tests.support.report import report_of
from twimager.geometry import scaling
from twimager.options import Framing, Options
from twimager.windows.pair_preview import preview

NOISE = np.random.default_rng(3).integers(0, 256, (300, 450, 3), dtype=np.uint8)


def third(pixels: Any) -> Any:
    return cv2.resize(pixels, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)


# By the background of the LR, or of the HR: that of the other has nothing to do with it.
MADE = {
    "white": lambda pixels: (third(flat(pixels, 255)), cut_out(pixels, NOISE)),
    "noise": lambda pixels: (third(flat(pixels, NOISE)), cut_out(pixels, 0)),
    "transparent": lambda pixels: (cut_out(third(pixels), 0), cut_out(pixels, NOISE)),
    "opaque HR": lambda pixels: (cut_out(third(pixels), 255), flat(pixels, 0)),
}


@pytest.fixture
def cut_outs(tmp_path: Path) -> Folders:
    found = Folders(tmp_path / "low", tmp_path / "high", tmp_path / "out")
    for (name, make), source in zip(MADE.items(), ("P1040518", "P1040102", "P1040480", "P1040771"), strict=True):
        for folder, pixels in zip(found, make(picture(source)[:300, :450]), strict=False):
            folder.mkdir(exist_ok=True)
            cv2.imwrite(str(folder / f"{name}.png"), pixels)
    return found


def test_cut_outs_are_paired_and_written_alike(run: Run, cut_outs: Folders) -> None:
    outcome = run(*cut_outs.flags, "--report", "--save", cut_outs.dest.with_name("kept"))
    assert outcome.code == 0
    assert "unlike" not in outcome.out
    pairs = report_of(cut_outs.dest)["pairs"]
    assert {Path(pair["lr"]).stem: Path(pair["hr"]).stem for pair in pairs} == {name: name for name in MADE}
    for pair in pairs:
        center = np.array(pair["matrix"]) @ (224.5, 149.5, 1)
        assert center[:2] / center[2] == pytest.approx((74.5, 49.5), abs=0.05)
        lr, hr = (cv2.imread(pair[f"{side}_output"], cv2.IMREAD_UNCHANGED) for side in ("lr", "hr"))
        assert lr.shape[2] == hr.shape[2] == (4 if Path(pair["lr"]).stem == "transparent" else 3)
    again = run(*cut_outs.flags[:4], "--dest", cut_outs.dest.with_name("b"), "--save", cut_outs.dest.with_name("kept"))
    assert again.out.splitlines()[:3] == outcome.out.splitlines()[:3]


def test_what_is_transparent_everywhere_is_named(run: Run, folders: Folders) -> None:
    path = folders.lr / "l0.png"
    cv2.imwrite(str(path), np.dstack([cv2.imread(str(path)), np.zeros((100, 150), np.uint8)]))
    outcome = run(*folders.flags)
    assert outcome.code == 0
    assert outcome.err == f"{path}: transparent everywhere: nothing to see\n"
    assert "LR left without a pair: 1 (1 nothing to see)" in outcome.out


def test_both_files_have_the_same_channels_and_depth(run: Run, folders: Folders) -> None:
    gray, deep = folders.lr / "l0.png", folders.hr / "h1.png"
    cv2.imwrite(str(gray), cv2.imread(str(gray), cv2.IMREAD_GRAYSCALE))
    cv2.imwrite(str(deep), cv2.imread(str(deep)).astype(np.uint16) * 257)
    run(*folders.flags)
    for name, depth in (("h0.png", np.uint8), ("h1.png", np.uint16)):
        for side in ("LR", "HR"):
            made = cv2.imread(str(folders.dest / side / name), cv2.IMREAD_UNCHANGED)
            assert (made.shape[2], made.dtype) == (3, depth)


def test_the_preview_shows_colours(tmp_path: Path) -> None:
    pixels = picture("P1040518")[:300, :450]
    pair = pair_of(tmp_path, cut_out(third(pixels)), cut_out(pixels), scaling(1 / 3), Framing())
    options = Options(tmp_path, tmp_path)
    assert preview(pair, options).shape[2] == 3
