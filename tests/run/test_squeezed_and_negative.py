"""Pictures squeezed by more than features bear are found, and negatives."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.known_warp import error
from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.pictures import cat
from tests.support.report import report_of
from twimager.geometry import resize_matrix, translation


def found(run: Run, folders: Folders, *flags: object) -> dict[str, dict]:
    """The pairs of a run, by the LR's stem."""
    run(*folders.flags, "--report", "--overwrite", *flags)
    return {Path(pair["lr"]).stem: pair for pair in report_of(folders.dest)["pairs"]}


@pytest.mark.parametrize("stretch", [1 / 2.1, 1.7, 2.1])
def test_a_squeezed_part_is_found(run: Run, folders: Folders, stretch: float) -> None:
    part = cat()[10:290, 15:435]
    across, down = (1 / 2, stretch / 2) if stretch < 1 else (1 / stretch, 1.0)
    size = round(part.shape[1] * across), round(part.shape[0] * down)
    cv2.imwrite(str(folders.lr / "l0.png"), cv2.resize(part, size, interpolation=cv2.INTER_AREA))
    pair = found(run, folders)["l0"]
    truth = resize_matrix((420, 280), size) @ translation(-15, -10)
    assert Path(pair["hr"]).stem == "h0"
    assert error(np.array(pair["matrix"]), truth, (450, 300)) < 0.1


def inverted(folders: Folders, mirror: bool) -> np.ndarray:
    """Make l0 a negative, mirrored or not, of other gamma, cropped; return what it was."""
    lr = cv2.imread(str(folders.lr / "l0.png"))[4:-6, 3:-8]
    lr = np.ascontiguousarray(lr[:, ::-1]) if mirror else lr
    cv2.imwrite(str(folders.lr / "l0.png"), np.rint(255 * (1 - lr / 255) ** 1.3).astype(np.uint8))
    return lr


@pytest.mark.parametrize("mirror", [False, True])
def test_a_negative_is_found_and_inverted_by_color_transfer(run: Run, folders: Folders, mirror: bool) -> None:
    positive = inverted(folders, mirror)
    for flags, sign in (((), 1), (("--color_transfer",), -1)):
        pairs = found(run, folders, *flags)
        assert {name: (pair["negative"], pair["mirrored"]) for name, pair in pairs.items()} == {
            "l0": (True, mirror),
            "l1": (False, False),
        }
        hr = cv2.imread(str(folders.dest / "HR" / "h0.png"))
        small = cv2.resize(hr, positive.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert sign * np.corrcoef(small.ravel(), positive.ravel())[0, 1] > 0.95


def test_negatives_are_said_or_not_looked_for(run: Run, folders: Folders) -> None:
    inverted(folders, mirror=False)
    words = "HRs that are negatives of their LRs: 1 (as they are; --color_transfer inverts them)"
    assert words in run(*folders.flags).out
    assert "pairs written: 1" in run(*folders.flags, "--overwrite", "--no_negative").out
