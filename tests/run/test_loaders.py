"""What loaders of trainers would misread is written so that they don't, or refused with the reason."""

from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support.command import Run, refused
from tests.support.folders import Folders
from tests.support.icc import adobe_rgb
from tests.support.report import report_of, rows_of
from twimager.options import Loader
from twimager.output import atomic

# By so many levels, in the mean, a palette, CMYK and rounding change a picture; a profile that is ignored by 8.
APART = 3


@pytest.fixture
def difference(run: Run, folders: Folders) -> float:
    """How far the LR and the reduced HR of a plain pair are apart in the mean, in levels."""
    run(*folders.flags[:4], "--dest", folders.dest.with_name("plain"), "--scale", 1)
    return apart(folders.dest.with_name("plain"), "h0.png")


def written(dest: Path, name: str) -> tuple[Image.Image, Image.Image]:
    lr, hr = (opened(dest / side / name) for side in ("LR", "HR"))
    return lr, hr


def opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        picture.load()
        return picture


def apart(dest: Path, name: str) -> float:
    """Return how far the files of a pair are apart, read as loaders do that know of no profiles."""
    lr, hr = (np.asarray(image.convert("RGB"), float) for image in written(dest, name))
    return float(np.abs(lr - hr).mean())


def in_adobe_rgb(path: Path) -> dict[str, Any]:
    picture = opened(path).convert("RGB")
    profile = ImageCms.ImageCmsProfile(BytesIO(adobe_rgb()))
    converted = ImageCms.profileToProfile(picture, ImageCms.createProfile("sRGB"), profile)
    assert converted
    converted.save(path, icc_profile=adobe_rgb())
    return {}


def in_palette(path: Path) -> None:
    opened(path).convert("RGB").quantize(256).save(path)


def with_alpha(path: Path) -> None:
    picture = opened(path).convert("RGBA")
    alpha = np.full(picture.size[::-1], 255, np.uint8)
    alpha[: len(alpha) // 4, : alpha.shape[1] // 4] = 0
    picture.putalpha(Image.fromarray(alpha))
    picture.save(path)


def gray(path: Path) -> None:
    opened(path).convert("L").save(path)


def in_16_bit(path: Path) -> None:
    cv2.imwrite(str(path), cv2.imread(str(path)).astype(np.uint16) * 257)


def gray_in_16_bit(path: Path) -> None:
    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.uint16) * 257)


def in_cmyk(path: Path) -> None:
    # A name that does not say what it is: the format is found in the bytes.
    opened(path).convert("RGB").convert("CMYK").save(path, "JPEG", quality=98, subsampling=0)


ODD = [in_adobe_rgb, in_palette, with_alpha, in_16_bit, in_cmyk]


@pytest.mark.parametrize("changed", ["lr", "hr"])
@pytest.mark.parametrize("change", ODD)
def test_what_loaders_misread_is_written_as_rgb_of_8_bit(
    run: Run, folders: Folders, difference: float, change: Any, changed: str
) -> None:
    change(folders.lr / "l0.png" if changed == "lr" else folders.hr / "h0.png")
    assert run(*folders.flags, "--scale", 1, "--for", "all", "--min_size", 32).code == 0
    for side in ("LR", "HR"):
        path = folders.dest / side / "h0.png"
        assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).dtype == np.uint8
        image = opened(path)
        assert (image.mode, image.info.get("icc_profile"), image.info.get("transparency")) == ("RGB", None, None)
    assert apart(folders.dest, "h0.png") < difference + APART


@pytest.mark.parametrize("change", [in_adobe_rgb, in_palette, gray, gray_in_16_bit, in_cmyk])
def test_an_lr_is_kept_as_it_is_only_if_any_loader_reads_it_as_the_hr(run: Run, folders: Folders, change: Any) -> None:
    change(folders.lr / "l0.png")
    assert run(*folders.flags).code == 0
    assert (folders.dest / "LR/h0.png").read_bytes() != (folders.lr / "l0.png").read_bytes()
    lr, hr = (cv2.imread(str(folders.dest / side / "h0.png"), cv2.IMREAD_UNCHANGED) for side in ("LR", "HR"))
    assert (lr.shape[2], lr.dtype) == (hr.shape[2], hr.dtype)


def test_profiles_are_kept_on_both_sides(run: Run, folders: Folders) -> None:
    stored = {}
    for path in (folders.lr / "l0.png", folders.hr / "h0.png"):
        in_adobe_rgb(path)
        stored[path.parent.name] = path.read_bytes()
    assert run(*folders.flags, "--keep_icc", "--crop", 1).code == 0
    lr, hr = written(folders.dest, "h0.png")
    assert lr.info["icc_profile"] == hr.info["icc_profile"] == adobe_rgb()
    assert (np.asarray(lr) == np.asarray(opened(folders.lr / "l0.png"))[1:-1, 1:-1]).all()
    assert "no profile is written into TIFF" in run(*folders.flags, "--keep_icc", "--format", "tif").err


def test_an_lr_with_a_profile_keeps_its_bytes_with_it(run: Run, folders: Folders) -> None:
    in_adobe_rgb(folders.lr / "l0.png")
    run(*folders.flags, "--keep_icc")
    assert (folders.dest / "LR/h0.png").read_bytes() == (folders.lr / "l0.png").read_bytes()


def test_folders_of_images_hold_nothing_else_at_any_time(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, seen = atomic._place, set()

    def looking(*how: Any) -> bool:
        seen.update(path.name for side in ("LR", "HR") for path in (folders.dest / side).rglob("*"))
        return place(*how)

    monkeypatch.setattr(atomic, "_place", looking)
    for output in ("all", "hr"):
        run(*folders.flags, "--report", "--meta_info", "--output", output, "--overwrite")
    assert seen == {"h0.png", "h1.png"}


@pytest.mark.parametrize(
    ("loader", "flags", "words"),
    [
        ("kair", ["--format", "webp"], "--format png or tif or jpg"),
        ("kair", ["--depth", 16], "divides values of 16 bits by 255: not with --depth 16"),
        ("kair", ["--depth", "source"], "divides values of 16 bits by 255: not with --depth source"),
        ("neosr", ["--format", "tiff"], "--format png or webp or jpg"),
        ("basicsr", ["--scale", 1.5], "whole scales only"),
        ("trainner", ["--filename", "keep"], "by their names"),
        ("realesrgan", ["--keep_icc"], "ignores colour profiles"),
        ("hf", ["--alpha", "keep"], "no transparency"),
        ("basicsr", ["--prefix", "a b"], "--names safe"),
    ],
)
def test_what_a_loader_can_not_take_is_refused_with_the_reason(
    run: Run, folders: Folders, loader: str, flags: list[object], words: str
) -> None:
    refused(run(*folders.flags, "--for", loader, *flags), 2, words)
    refused(run(*folders.flags, "--for", f"hf,{loader}", *flags), 2, words)
    assert not folders.dest.exists()


def test_a_loader_that_is_not_known_is_named(run: Run, folders: Folders) -> None:
    refused(run(*folders.flags, "--for", "basicsr,esrgan"), 2, "'esrgan' is none of basicsr, ")


@pytest.mark.slow
def test_pairs_smaller_than_a_patch_are_turned_down_and_counted(run: Run, folders: Folders) -> None:
    outcome = run(*folders.flags, "--min_size", 128, "--report")
    assert "pairs written: 1\n" in outcome.out
    assert "1 too small" in outcome.out
    assert report_of(folders.dest)["rejected_pairs"][0]["detail"] == "150x100 LR pixels, at least 128 along a side"
    assert "pairs written: 2" in run(*folders.flags, "--for", "realesrgan", "--overwrite").out
    assert run(*folders.flags, "--for", "realesrgan", "--crop", 45, "--overwrite").code == 4


def test_names_are_safe_and_the_table_says_whose_they_are(run: Run, folders: Folders) -> None:
    (folders.hr / "h0.png").rename(folders.hr / "Szene 1, né $.x.png")
    assert run(*folders.flags, "--names", "safe", "--report").code == 0
    assert sorted(path.name for path in (folders.dest / "HR").iterdir()) == ["Szene-1-ne-x.png", "h1.png"]
    rows = {row["hr_output"]: row["hr"] for row in rows_of((folders.dest / "pairs.csv").read_bytes())}
    assert rows["HR/Szene-1-ne-x.png"].endswith("Szene 1, né $.x.png")


def test_all_means_every_loader(run: Run, folders: Folders) -> None:
    run(*folders.flags, "--for", "all", "--min_size", 1, "--report")
    assert report_of(folders.dest)["settings"]["loaders"] == [loader.value for loader in Loader]


def test_a_dest_of_the_older_layout_is_not_resumed(run: Run, folders: Folders) -> None:
    run(*folders.flags, "--output", "hr")
    journal = folders.dest / ".twimager/journal.jsonl"
    journal.write_text(journal.read_text().replace('"HR/h', '"h'))
    for outcome in (run(*folders.flags, "--output", "hr", "--resume"), run("verify", folders.dest)):
        refused(outcome, 2, "is of an older version")
