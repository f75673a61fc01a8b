"""The lists beside the images are what loaders read, by the code of these: each test says whose and where."""

import json
import os
import sys
from pathlib import Path

import cv2
import pytest
from PIL import Image

from tests.support.command import Run, refused
from tests.support.folders import Folders


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_meta_info_is_what_basicsr_reads(run: Run, folders: Folders) -> None:
    assert run(*folders.flags, "--meta_info", "--scale", "1.5").code == 0
    lines = (folders.dest / "meta_info.txt").read_text().splitlines()
    expected = []
    for path in sorted((folders.dest / "HR").iterdir()):
        height, width, channels = cv2.imread(str(path)).shape
        expected.append(f"{path.name} ({height},{width},{channels})")
    assert lines == expected
    assert len(lines) == 2
    lists = {"meta_info.txt", "meta_info_pair.txt"}
    assert {path.name for path in folders.dest.iterdir()} == {"LR", "HR", ".twimager", *lists}


def test_meta_info_leaves_out_names_at_which_loaders_fail(run: Run, folders: Folders) -> None:
    (folders.hr / "h0.png").rename(folders.hr / "h 0.png")
    outcome = run(*folders.flags, "--meta_info", "--output", "hr")
    assert outcome.code == 0
    assert "1 of 2 pairs is not listed, as its names" in outcome.err
    assert (folders.dest / "meta_info.txt").read_text() == "h1.png (266,400,3)\n"


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_meta_info_names_files_by_their_bytes(run: Run, folders: Folders) -> None:
    odd = b"caf\xe9.png"
    (folders.hr / "h0.png").rename(folders.hr / os.fsdecode(odd))
    assert run(*folders.flags, "--meta_info", "--report").code == 0
    assert odd + b" (200,300,3)\n" in (folders.dest / "meta_info.txt").read_bytes()


@pytest.mark.parametrize("flag", [["--dry"], ["--output", "lr"]])
def test_without_hrs_there_is_no_meta_info(run: Run, folders: Folders, flag: list[str]) -> None:
    outcome = run(*folders.flags, "--meta_info", *flag)
    assert (outcome.code, outcome.out) == (2, "")
    assert "--meta_info" in outcome.err
    assert not folders.dest.exists()


def test_meta_info_has_the_channels_of_the_files(run: Run, folders: Folders) -> None:
    for path in (folders.lr / "l0.png", folders.hr / "h0.png"):
        with Image.open(path) as picture:
            transparent = picture.convert("RGBA")
        transparent.putpixel((0, 0), (0, 0, 0, 0))
        transparent.save(path)
    assert run(*folders.flags, "--meta_info").code == 0
    assert cv2.imread(str(folders.dest / "HR/h0.png"), cv2.IMREAD_UNCHANGED).shape == (200, 300, 4)
    assert lines_of(folders.dest / "meta_info.txt") == ["h0.png (200,300,4)", "h1.png (266,400,3)"]


@pytest.mark.parametrize("naming", ["hr", "keep"])
def test_the_list_of_pairs_is_what_the_paired_data_set_of_realesrgan_reads(
    run: Run, folders: Folders, naming: str
) -> None:
    """It splits at ", ", and joins each part to a folder: realesrgan_paired_dataset.py of a4abfb2, line 60."""
    assert run(*folders.flags, "--meta_info", "--filename", naming).code == 0
    found = [line.strip().split(", ") for line in lines_of(folders.dest / "meta_info_pair.txt")]
    lrs = {"hr": ["LR/h0.png", "LR/h1.png"], "keep": ["LR/l0.png", "LR/l1.png"]}[naming]
    assert found == [["HR/h0.png", lrs[0]], ["HR/h1.png", lrs[1]]]
    assert all((folders.dest / path).is_file() for paths in found for path in paths)


@pytest.mark.parametrize("flag", ["--lr", "--hr"])
def test_names_that_split_a_list_are_left_out_and_counted(run: Run, folders: Folders, flag: str) -> None:
    side, name = {"--lr": (folders.lr, "l0"), "--hr": (folders.hr, "h0")}[flag]
    (side / f"{name}.png").rename(side / f"{name}, or.png")
    outcome = run(*folders.flags, "--meta_info", "--filename", "keep")
    assert lines_of(folders.dest / "meta_info_pair.txt") == ["HR/h1.png, LR/l1.png"]
    assert "meta_info_pair.txt: 1 of 2 pairs is not listed, as its names" in outcome.err
    assert ("meta_info.txt: 1 of 2" in outcome.err) == (flag == "--hr")


def test_one_side_has_no_list_of_pairs(run: Run, folders: Folders) -> None:
    assert run(*folders.flags, "--meta_info", "--output", "hr").code == 0
    assert {path.name for path in folders.dest.iterdir()} == {"HR", "meta_info.txt", ".twimager"}


def test_the_metadata_is_what_hugging_face_reads(run: Run, folders: Folders) -> None:
    """Columns that end in _file_name are images, their paths as seen from the list: folder_based_builder.py of 5.2."""
    assert run(*folders.flags, "--hf", "--report").code == 0
    rows = [json.loads(line) for line in lines_of(folders.dest / "metadata.jsonl")]
    assert rows == [{f"{side}_file_name": f"{side.upper()}/h{n}.png" for side in ("lr", "hr")} for n in (0, 1)]
    assert all((folders.dest / path).is_file() for row in rows for path in row.values())


def test_the_metadata_names_masks_too(run: Run, folders: Folders) -> None:
    run(*folders.flags, "--hf", "--partial", "mask")
    assert json.loads(lines_of(folders.dest / "metadata.jsonl")[0])["mask_file_name"] == "MASK/h0.png"


@pytest.mark.parametrize(("name", "is_word"), [("my_test_1", True), ("val-3", True), ("contest", False)])
def test_names_that_are_splits_to_hugging_face_are_said(run: Run, folders: Folders, name: str, is_word: bool) -> None:
    """A file whose name holds such a word is all that is loaded then: data_files.py of 5.2, get_data_patterns."""
    (folders.hr / "h0.png").rename(folders.hr / f"{name}.png")
    outcome = run(*folders.flags, "--hf")
    said = "metadata.jsonl: Hugging Face takes words in 1 names for splits; load them with data_files="
    assert (said in outcome.err) == is_word


@pytest.mark.parametrize("flags", [["--dry"], ["--output", "lr"], ["--output", "hr"]])
def test_the_metadata_is_of_both_files_of_a_pair(run: Run, folders: Folders, flags: list[str]) -> None:
    refused(run(*folders.flags, "--hf", *flags), 2, "--hf ")
    assert not folders.dest.exists()
