"""`check` says of pairs, whoever made them, what is wrong with them, measured, and for which loaders."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support.command import Run, refused
from tests.support.folders import contents
from tests.support.icc import adobe_rgb
from tests.support.paths import ROOT
from tests.support.pictures import picture
from tests.support.report import report_of
from tests.support.slow import thorough
from twimager.errors import ExitCode
from twimager.geometry import resize_matrix, translation
from twimager.image.warp import resample
from twimager.options import Loader

NAMES = ["P1040102", "P1040480", "P1040355"]
# What is left out of every photograph's edges, so that shifted LRs show something there.
MARGIN = 16
# LR pixels to which a misalignment is measured.
PRECISION = 0.02


def make_set(
    folder: Path, moved: np.ndarray | None = None, scale: int = 2, names: tuple[str, str] = ("LR", "HR")
) -> Path:
    """Write exact pairs, or such as `moved`, (3, 3), moves on the LR's grid."""
    lrs, hrs = (folder / name for name in names)
    lrs.mkdir(parents=True)
    hrs.mkdir()
    for name in NAMES:
        full = picture(name)
        height, width = (MARGIN * ((side - 2 * MARGIN) // MARGIN) for side in full.shape[:2])
        size = width // scale, height // scale
        to_lr = resize_matrix((width, height), size) @ translation(-MARGIN, -MARGIN)
        lr = resample(full, (np.eye(3) if moved is None else moved) @ to_lr, size)
        cv2.imwrite(str(lrs / f"{name}.png"), lr)
        cv2.imwrite(str(hrs / f"{name}.png"), full[MARGIN : MARGIN + height, MARGIN : MARGIN + width])
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return make_set(tmp_path / "pairs")


def lr_of(pairs: Path) -> Path:
    return pairs / "LR" / f"{NAMES[0]}.png"


def hr_of(pairs: Path) -> Path:
    return pairs / "HR" / f"{NAMES[0]}.png"


def test_exact_pairs_are_fit_for_all_and_nothing_is_changed(run: Run, pairs: Path) -> None:
    before = {path: path.read_bytes() for path in pairs.rglob("*.png")}
    outcome = run("check", pairs)
    assert outcome.code == 0, outcome.out
    assert outcome.out.startswith("pairs: 3, scale 2; misaligned by 0.00")
    assert outcome.out.count(": fit\n") == len(Loader)
    assert {path: path.read_bytes() for path in pairs.rglob("*") if path.is_file()} == before


def around_the_middle(linear: list[list[float]]) -> np.ndarray:
    middle = translation(100, 90)
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    return middle @ matrix @ np.linalg.inv(middle)


@pytest.mark.parametrize(
    ("shift", "scale"),
    [
        ((-0.25, 0.25), 2), ((1, -1), 4), ((3, -3), 2),
        *(pytest.param(shift, 4, marks=pytest.mark.slow) for shift in ((0.25, 0), (0, 1), (0, 3), (-3, 3))),
    ],
)  # fmt: skip
def test_a_shift_is_measured(run: Run, tmp_path: Path, shift: tuple[float, float], scale: int) -> None:
    make_set(tmp_path / "pairs", translation(*shift), scale)
    outcome = run("check", tmp_path / "pairs", "--json", "--for", "basicsr")
    assert outcome.code == 5
    for pair in json.loads(outcome.out)["pairs"]:
        assert pair["misalignment"]["shift"] == pytest.approx(shift, abs=PRECISION)
        assert pair["flaws"][0]["kind"] == "misaligned"


def test_a_rotation_and_a_scale_are_measured(run: Run, tmp_path: Path) -> None:
    angle = np.radians(0.2)
    turned = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    make_set(tmp_path / "turned", around_the_middle(turned))
    make_set(tmp_path / "scaled", around_the_middle([[1.005, 0], [0, 1.005]]))
    for pair in json.loads(run("check", tmp_path / "turned", "--json").out)["pairs"]:
        assert pair["misalignment"]["rotation"] == pytest.approx(0.2, abs=0.02)
    for pair in json.loads(run("check", tmp_path / "scaled", "--json").out)["pairs"]:
        assert pair["misalignment"]["scale"] == pytest.approx((0.5, 0.5), abs=0.03)


def blow_up(pairs: Path) -> None:
    small = cv2.imread(str(lr_of(pairs)))
    cv2.imwrite(str(hr_of(pairs)), cv2.resize(small, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))


def blur(pairs: Path) -> None:
    cv2.imwrite(str(hr_of(pairs)), cv2.GaussianBlur(cv2.imread(str(hr_of(pairs))), (0, 0), 2))


def show_another(pairs: Path) -> None:
    size = cv2.imread(str(hr_of(pairs))).shape[1::-1]
    cv2.imwrite(str(hr_of(pairs)), cv2.resize(picture("P1040771"), size))


def cut_a_column(pairs: Path) -> None:
    cv2.imwrite(str(hr_of(pairs)), cv2.imread(str(hr_of(pairs)))[:, 1:])


def truncate(pairs: Path) -> None:
    hr_of(pairs).write_bytes(hr_of(pairs).read_bytes()[:20000])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (blow_up, "HR blown up or blurred"),
        (blur, "HR blurrier than the LR"),
        (truncate, "HR/P1040102.png: unreadable"),
        (show_another, "correlation"),
        (cut_a_column, "is not 2 times LR"),
    ],
)
def test_what_no_loader_should_be_given_is_named_with_its_pair(
    run: Run, pairs: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(pairs)
    outcome = run("check", pairs)
    assert outcome.code == 5
    assert any(line.startswith(f"{NAMES[0]}: ") and words in line for line in outcome.out.splitlines()), outcome.out
    assert "P1040480: " not in outcome.out
    assert outcome.out.count(": not fit: ") == len(Loader)


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def deep(lr: Path) -> None:
    cv2.imwrite(str(lr), cv2.imread(str(lr)).astype(np.uint16) * 257)


def palette(lr: Path) -> None:
    opened(lr).quantize(256).save(lr)


def cmyk(lr: Path) -> None:
    opened(lr).convert("CMYK").save(lr.with_suffix(".jpg"), quality=97)
    lr.unlink()


def profile(lr: Path) -> None:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(BytesIO(adobe_rgb()))
    converted = ImageCms.profileToProfile(opened(lr), *profiles)
    assert converted
    converted.save(lr, icc_profile=adobe_rgb())


def gray(lr: Path) -> None:
    opened(lr).convert("L").save(lr)


def transparent(lr: Path) -> None:
    image = opened(lr).convert("RGBA")
    alpha = np.full(image.size[::-1], 255, np.uint8)
    alpha[:30, :30] = 0
    image.putalpha(Image.fromarray(alpha))
    image.save(lr)


def turned(lr: Path) -> None:
    image = opened(lr).transpose(Image.Transpose.ROTATE_90)
    exif = image.getexif()
    exif[0x112] = 6
    image.save(lr, exif=exif)


def tiff(lr: Path) -> None:
    opened(lr).save(lr.with_suffix(".tiff"))
    lr.unlink()


OPENCV = {"basicsr", "realesrgan", "neosr", "kair"}


@pytest.mark.parametrize(
    ("change", "words", "loaders"),
    thorough(
        [
            (deep, "LR 16 bit", {"kair"}),
            (palette, "LR a palette", {"hf"}),
            (cmyk, "LR CMYK", {*OPENCV, "trainner", "hf"}),
            (cmyk, "have other extensions", {"basicsr", "realesrgan", "neosr"}),
            (profile, "LR a colour profile other than sRGB", {*OPENCV, "hf"}),
            (gray, "LR gray", {"hf"}),
            (transparent, "LR transparent", {*OPENCV, "trainner"}),
            (transparent, "LR an alpha channel", {"hf"}),
            (turned, "LR turned by EXIF", {"trainner", "kair"}),
            (tiff, "LR .tiff is not looked for", {"neosr", "kair"}),
        ],
        3,
    ),
)
def test_a_file_is_named_with_the_loaders_that_misread_it(
    run: Run, pairs: Path, change: Callable[[Path], None], words: str, loaders: set[str]
) -> None:
    change(lr_of(pairs))
    outcome = run("check", pairs, "--json")
    assert outcome.code == 5
    found = json.loads(outcome.out)
    flaws = {flaw["text"]: set(flaw["for"]) for flaw in found["pairs"][0]["flaws"]}
    assert [of for text, of in flaws.items() if words in text] == [loaders]
    assert found["pairs"][0]["name"] == NAMES[0]
    assert not any(pair["flaws"] for pair in found["pairs"][1:])
    unfit = set().union(*flaws.values())
    assert {loader for loader, fit in found["fit"].items() if not fit} == unfit
    if fit := [loader.value for loader in Loader if loader.value not in unfit]:
        assert run("check", pairs, "--for", *fit).code == 0


def test_an_lr_under_a_patch_is_named(run: Run, pairs: Path) -> None:
    for path, side in ((lr_of(pairs), 50), (hr_of(pairs), 100)):
        opened(path).crop((0, 0, side, side)).save(path)
    outcome = run("check", pairs, "--for", "basicsr,trainner")
    assert outcome.code == 5
    assert "LR 50 x 50 is smaller than a patch, 64 x 64 (trainner)" in outcome.out
    assert "BasicSR: fit" in outcome.out


def test_files_without_a_partner_and_copies_are_named_and_counted(run: Run, pairs: Path) -> None:
    lr_of(pairs).unlink()
    for side in ("LR", "HR"):
        (pairs / side / "again.png").write_bytes((pairs / side / f"{NAMES[1]}.png").read_bytes())
    outcome = run("check", pairs)
    assert outcome.code == 5
    assert f"{hr_of(pairs)}: without a partner" in outcome.out
    assert f"the same picture: {NAMES[1]}, again" in outcome.out
    assert "BasicSR: not fit: 1 without a partner" in outcome.out
    assert "Hugging Face datasets: fit" in outcome.out


def test_the_worst_pairs_come_first(run: Run, tmp_path: Path) -> None:
    for name, shift in (("near", 0.3), ("far", 1)):
        make_set(tmp_path / name, translation(shift, 0))
    for side in ("LR", "HR"):
        (tmp_path / "far" / side / f"{NAMES[0]}.png").rename(tmp_path / "near" / side / f"{NAMES[0]}.png")
    found = json.loads(run("check", tmp_path / "near", "--json").out)["pairs"]
    assert found[0]["name"] == NAMES[0]
    assert [pair["misalignment"]["mean"] for pair in found] == pytest.approx([1, 0.3, 0.3], abs=PRECISION)


def test_folders_are_found_by_what_trainers_call_them_or_named(run: Run, tmp_path: Path) -> None:
    make_set(tmp_path / "pairs", names=("Lq", "GT"))
    assert run("check", tmp_path / "pairs").code == 0
    assert run("check", tmp_path / "pairs" / "Lq", tmp_path / "pairs" / "GT").code == 0


def test_what_can_not_be_checked_is_refused_in_a_line(run: Run, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty" / "LR").mkdir(parents=True)
    (tmp_path / "empty" / "HR").mkdir()
    refused(run("check", tmp_path / "none"), 2, "there is no folder")
    refused(run("check", lr_of(pairs)), 2, "is a file")
    refused(run("check", pairs / "LR"), 2, "0 folders called LR or LQ")
    refused(run("check", tmp_path / "empty"), 2, "no files")
    refused(run("check", pairs / "LR", pairs / "LR"), 2, "named twice")
    refused(run("check", pairs, "--fix"), 2, "--dest")
    refused(run("check", pairs, "--report"), 2, "--dest")
    refused(run("check", pairs, "--tile", 128), 2, "--fix")
    refused(run("check", pairs, "--fix", "--dest", tmp_path / "empty"), 2, "not empty")
    (pairs / "LR" / "x.png").write_bytes(lr_of(pairs).read_bytes())
    for name in NAMES:
        (pairs / "LR" / f"{name}.png").unlink()
    refused(run("check", pairs), 2, "has the name of one in")


def test_a_report_is_that_of_the_main_job_and_changes_nothing(run: Run, tmp_path: Path) -> None:
    pairs, dest = make_set(tmp_path / "pairs"), tmp_path / "kept"
    before = contents(pairs)
    assert run("check", pairs, "--report", "--dest", dest).code == ExitCode.DONE
    report = report_of(dest)
    assert {Path(pair["lr"]).name for pair in report["pairs"]} == {path.name for path in (pairs / "LR").iterdir()}
    assert sorted(contents(dest)) == ["pairs.csv", "report.html", "report.json"]
    assert contents(pairs) == before


def test_fix_writes_tiles(run: Run, tmp_path: Path) -> None:
    pairs, dest = make_set(tmp_path / "pairs", translation(0.5, -0.25)), tmp_path / "fixed"
    run("check", pairs, "--fix", "--dest", dest, "--tile", 128, "--for", "basicsr")
    lrs, hrs = (sorted(path.name for path in (dest / side).iterdir()) for side in ("LR", "HR"))
    assert lrs == hrs
    assert f"{NAMES[0]}_s001.png" in lrs
    assert cv2.imread(str(dest / "HR" / hrs[0])).shape == (128, 128, 3)


@pytest.mark.slow
def test_fix_writes_what_can_be_mended(run: Run, tmp_path: Path) -> None:
    pairs, dest = make_set(tmp_path / "pairs", translation(0.5, -0.25)), tmp_path / "fixed"
    palette(pairs / "LR" / f"{NAMES[1]}.png")
    blow_up(pairs)
    outcome = run("check", pairs, "--fix", "--dest", dest, "--report")
    assert outcome.code == 0, outcome.out + outcome.err
    assert "pairs written: 2" in outcome.out
    assert sorted(path.stem for path in (dest / "HR").iterdir()) == sorted(NAMES[1:])
    schema = json.loads((ROOT / "twimager/report/report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((dest / "report.json").read_text(encoding="utf-8")), schema)
    again = run("check", dest)
    assert again.code == 0, again.out


def test_where_nothing_can_be_mended_no_pair_is_written(run: Run, pairs: Path, tmp_path: Path) -> None:
    for path in (pairs / "HR").iterdir():
        path.write_bytes(path.read_bytes()[:20000])
    outcome = run("check", pairs, "--fix", "--dest", tmp_path / "fixed", "--json")
    assert outcome.code == 4
    found = json.loads(outcome.out)
    assert found["reasons"]["basicsr"] == {"unreadable": len(NAMES)}
    assert found["fixed"]["pairs"] == 0
    assert run("check", pairs, "--fix", "--dest", tmp_path / "fixed").code == 4, "the folder is as good as empty"
