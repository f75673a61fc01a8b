"""Copies of an HR beside it: enlarged ones are not preferred to it, nor those of other tones."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.paths import EXAMPLES
from tests.support.report import report_of
from tests.support.slow import thorough
from twimager.errors import Reason

ORIGINALS = ("P1040771.jpg", "P1040663.jpg")


def lr_of(hr: np.ndarray) -> np.ndarray:
    return cv2.resize(hr, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)


def enlarged(picture: np.ndarray, factor: float) -> np.ndarray:
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def exposed(hr: np.ndarray, stops: float) -> np.ndarray:
    linear = (hr / 255) ** 2.2 * 2**stops
    return np.clip(255 * linear ** (1 / 2.2), 0, 255).astype(np.uint8)


def gray(hr: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(hr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def sepia(hr: np.ndarray) -> np.ndarray:
    return np.clip(gray(hr) * np.array([0.7, 0.9, 1.1]), 0, 255).astype(np.uint8)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "enlarged": lambda hr: enlarged(hr, 1.5),
    "enlarged LR": lambda hr: enlarged(lr_of(hr), 4),
    "enlarged LR of its size": lambda hr: cv2.resize(lr_of(hr), hr.shape[1::-1], interpolation=cv2.INTER_CUBIC),
    "faded": lambda hr: (0.8 * hr).astype(np.uint8),
    "brighter": lambda hr: exposed(hr, 1),
    "darker": lambda hr: exposed(hr, -2),
    "gray": gray,
    "sepia": sepia,
}


def written(folder: Path, name: str, picture: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / name), picture)


@pytest.mark.parametrize("copied", thorough(COPIES, 2))
def test_the_original_is_chosen(run: Run, tmp_path: Path, copied: str) -> None:
    folders = Folders(tmp_path / "low", tmp_path / "high", tmp_path / "out")
    for name in ORIGINALS:
        hr = cv2.imread(str(EXAMPLES / "HR" / name))
        written(folders.lr, f"l_{Path(name).stem}.png", lr_of(hr))
        written(folders.hr, f"{Path(name).stem}.png", hr)
        written(folders.hr, f"A_{Path(name).stem}.png", COPIES[copied](hr))
    assert run(*folders.flags, "--report").code == 0
    pairs = report_of(folders.dest)["pairs"]
    assert {Path(pair["lr"]).stem: Path(pair["hr"]).stem for pair in pairs} == {
        f"l_{Path(name).stem}": Path(name).stem for name in ORIGINALS
    }
    assert all(pair["native_scale"] == pytest.approx(1.5, abs=0.01) for pair in pairs)


def test_an_enlarged_hr_alone_is_paired_unless_pixels_are_demanded_that_hold_detail(run: Run, tmp_path: Path) -> None:
    folders = Folders(tmp_path / "low", tmp_path / "high", tmp_path / "out")
    hr = cv2.imread(str(EXAMPLES / "HR" / ORIGINALS[1]))
    written(folders.lr, "l.png", lr_of(hr))
    written(folders.hr, "h.png", enlarged(lr_of(hr), 4))
    assert run(*folders.flags, "--report").code == 0
    (pair,) = report_of(folders.dest)["pairs"]
    assert 0.4 < pair["native_scale"] < 0.8
    assert run(*folders.flags, "--report", "--overwrite", "--min_native_scale", 1).code == 4
    rejected = report_of(folders.dest)["rejected_pairs"]
    assert Reason.ENLARGED.value in {pair["reason"] for pair in rejected}
