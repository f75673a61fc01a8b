"""Pairs that are written as tiles: which, from where, and what becomes of them afterwards."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders, contents, images
from tests.support.report import VALIDATOR, report_of, rows_of
from twimager.review.images import ServedImages
from twimager.review.review import Review
from twimager.review.window import Session
from twimager.windows.panels import Display

# Of LRs of 150 x 100 and 200 x 133 pixels: tiles of 32 pixels, 24 apart, and those that end with the picture.
TILE = "--tile", 64, 48
COLUMNS = {"h0": [0, 24, 48, 72, 96, 118], "h1": [0, 24, 48, 72, 96, 120, 144, 168]}
ROWS = {"h0": [0, 24, 48, 68], "h1": [0, 24, 48, 72, 96, 101]}
ALL = ("--min_detail", 0)
# A part of l0 that no HR shows so, too small for a pair to be rejected for it.
CAPTION = np.s_[50:56, 60:72]


def places(name: str) -> list[tuple[int, int]]:
    return [(x, y) for y in ROWS[name] for x in COLUMNS[name]]


def tiles(dest: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for path in sorted((dest / "LR").iterdir()):
        yield path.stem, *(np.asarray(cv2.imread(str(dest / side / path.name))) for side in ("LR", "HR"))


def test_both_sides_of_a_tile_are_of_the_same_place(run: Run, folders: Folders) -> None:
    assert run(*folders.flags, *TILE, *ALL).code == 0
    sources = {name: np.asarray(cv2.imread(str(folders.lr / f"l{name[1]}.png"))) for name in ("h0", "h1")}
    expected = {
        f"{name}_s{number:03}": source[y : y + 32, x : x + 32]
        for name, source in sources.items()
        for number, (x, y) in enumerate(places(name), 1)
    }
    found = {stem: (lr, hr) for stem, lr, hr in tiles(folders.dest)}
    assert found.keys() == expected.keys()
    assert len(list((folders.dest / "HR").iterdir())) == len(found)
    shifts = []
    window = cv2.createHanningWindow((32, 32), cv2.CV_32F)
    for stem, (lr, hr) in found.items():
        assert (lr == expected[stem]).all()
        assert hr.shape == (64, 64, 3)
        small = cv2.resize(hr, (32, 32), interpolation=cv2.INTER_AREA)
        grays = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32) for image in (lr, small)]
        assert abs(grays[0] - grays[1]).mean() < 4
        shifts.append(np.hypot(*cv2.phaseCorrelate(*grays, window)[0]))
    assert np.median(shifts) < 0.05


def test_tiles_are_what_the_whole_pair_would_be(run: Run, folders: Folders) -> None:
    whole = folders.dest.with_name("whole")
    run(*folders.flags[:4], "--dest", whole)
    run(*folders.flags, *TILE, *ALL)
    for side, scale in (("LR", 1), ("HR", 2)):
        picture = cv2.imread(str(whole / side / "h0.png"))
        for number, (x, y) in enumerate(places("h0"), 1):
            tile = cv2.imread(str(folders.dest / side / f"h0_s{number:03}.png"))
            left, top, size = x * scale, y * scale, 32 * scale
            assert (tile == picture[top : top + size, left : left + size]).all()


def test_what_differs_and_what_is_flat_is_left_out(run: Run, folders: Folders) -> None:
    hr, lr = (cv2.imread(str(folders.hr / "h0.png")), cv2.imread(str(folders.lr / "l0.png")))
    hr[:120, 290:], lr[:40, 98:] = 90, 90  # flat: the tiles 5 and 6
    lr[CAPTION] = (0, 255, 255)
    cv2.imwrite(str(folders.hr / "h0.png"), hr)
    cv2.imwrite(str(folders.lr / "l0.png"), lr)
    assert run(*folders.flags, *TILE, "--report").code == 0
    written = {stem for stem, _, _ in tiles(folders.dest) if stem.startswith("h0")}
    covered = {
        number for number, (x, y) in enumerate(places("h0"), 1) if x < 72 and x + 32 > 60 and y < 56 and y + 32 > 50
    }
    assert not written & {f"h0_s{number:03}" for number in covered}
    assert "h0_s006" not in written
    assert {"h0_s001", "h0_s002", "h0_s019"} <= written
    pair = next(pair for pair in report_of(folders.dest)["pairs"] if Path(pair["hr"]).stem == "h0")
    assert {Path(tile["hr_output"]).stem for tile in pair["tiles"]} == written
    run(*folders.flags, *TILE, *ALL, "--overwrite")
    assert (folders.dest / "HR/h0_s006.png").exists()
    assert not any((folders.dest / f"HR/h0_s{number:03}.png").exists() for number in covered)


def test_nothing_is_written_of_what_the_hr_does_not_cover(run: Run, folders: Folders) -> None:
    hr = cv2.imread(str(folders.hr / "h0.png"))
    cv2.imwrite(str(folders.hr / "h0.png"), hr[:, 90:])  # 30 LR pixels less at the left
    assert run(*folders.flags, *TILE, *ALL, "--border", "keep").code == 0
    written = {stem for stem, _, _ in tiles(folders.dest) if stem.startswith("h0")}
    right = {f"h0_s{number:03}" for number, (x, _) in enumerate(places("h0"), 1) if x >= 30}
    assert written
    assert written <= right


@pytest.mark.parametrize("dry", [False, True])
def test_pairs_without_a_tile_are_counted(run: Run, folders: Folders, dry: bool) -> None:
    flags = *folders.flags, "--tile", 240, "--report", *["--dry"] * dry
    outcome = run(*flags)
    assert outcome.code == 0
    assert f"pairs {'found' if dry else 'written'}: 1, in 4 tiles" in outcome.out
    assert "pairs without a usable tile: 1" in outcome.out
    report = report_of(folders.dest)
    VALIDATOR.validate(report)
    rejected = {Path(pair["lr"]).name: (pair["reason"], pair["detail"]) for pair in report["rejected_pairs"]}
    assert rejected["l0.png"] == ("no usable tile", "150x100 LR pixels are less than one")
    assert [len(pair["tiles"]) for pair in report["pairs"]] == [4]
    shutil.rmtree(folders.dest)
    summary = json.loads(run(*flags, "--json", "--min_detail", 200).out)
    assert (summary["pairs"], summary["tiles"], summary["without_tile"], summary["exit_code"]) == (0, 0, 2, 4)


def test_the_limit_counts_pairs_with_tiles(run: Run, folders: Folders) -> None:
    run(*folders.flags, "--tile", 240, "--limit", 1)
    assert {stem.partition("_")[0] for stem, _, _ in tiles(folders.dest)} == {"h1"}


def test_report_table_and_list_name_every_tile(run: Run, folders: Folders) -> None:
    assert run(*folders.flags, *TILE, *ALL, "--report", "--meta_info", "--suffix", "x").code == 0
    report, dest = report_of(folders.dest), folders.dest
    VALIDATOR.validate(report)
    for pair in report["pairs"]:
        assert (pair["lr_output"], pair["hr_output"]) == (None, None)
        name = Path(pair["hr"]).stem
        assert [tuple(tile["window"]) for tile in pair["tiles"]] == [(x, y, 32, 32) for x, y in places(name)]
        for tile in pair["tiles"]:
            assert Path(tile["lr_output"]).name == Path(tile["hr_output"]).name
    names = sorted(Path(tile["hr_output"]).name for pair in report["pairs"] for tile in pair["tiles"])
    assert names[0] == "h0_x_s001.png"
    assert (dest / "meta_info.txt").read_text() == "".join(f"{name} (64,64,3)\n" for name in names)
    rows = rows_of((dest / "pairs.csv").read_bytes())
    assert [int(row["tiles"]) for row in rows] == [len(pair["tiles"]) for pair in report["pairs"]]
    assert all((dest / row["hr_output"]).is_file() for row in rows)
    assert run("verify", dest).code == 0
    (dest / "HR" / names[3]).unlink()
    assert f"missing: HR/{names[3]}" in run("verify", dest).out


def test_a_resumed_run_writes_no_tile_twice(run: Run, folders: Folders) -> None:
    flags = *folders.flags, *TILE, "--report"
    run(*flags)
    before, report = contents(folders.dest), report_of(folders.dest)
    times = {path: path.stat().st_mtime_ns for path in (folders.dest / "HR").iterdir()}
    (folders.dest / "report.json").unlink()
    lost = folders.dest / "LR/h1_s002.png"
    lost.unlink()
    assert run(*flags, "--resume").code == 0
    assert report_of(folders.dest)["pairs"] == report["pairs"]
    assert images(folders.dest) == {name: data for name, data in before.items() if name.endswith(".png")}
    assert {path: path.stat().st_mtime_ns for path in times if "h0" in path.name} == {
        path: time for path, time in times.items() if "h0" in path.name
    }
    outcome = run(*folders.flags, "--tile", 64, "--report", "--resume")
    assert outcome.code == 2
    assert "begun with --tile 64 48, not --tile 64 64" in outcome.err


def test_a_review_deletes_and_restores_all_tiles_of_a_pair(run: Run, folders: Folders) -> None:
    run(*folders.flags, *TILE, "--report", "--meta_info")
    dest, before = folders.dest, images(folders.dest)
    with Review(dest / "report.json") as review:
        pair = next(pair for pair in review.pairs if Path(pair.hr).stem == "h0")
        shown = review.shown(pair)
        assert {side: path.parent.name for side, path in shown.items()} == {"lr": "LR", "hr": "HR"}
        served = ServedImages(review)
        assert served.by_link[served.output(pair, "hr")].path == shown["hr"]
        assert Session(review, Display(), pytest.fail).picture().any()
        review.delete(pair)
        assert not list(dest.glob("*/h0*"))
        assert images(dest) == {name: data for name, data in before.items() if "h1" in name}
        assert review.undo() is pair
        assert images(dest) == before
        review.delete(pair)
    assert not list(dest.glob("*/h0*"))
    assert not (dest / ".twimager/trash").exists()
    assert "h0" not in (dest / "meta_info.txt").read_text()
    assert run("verify", dest).code == 0
    assert run("gallery", dest / "report.json").code == 0
    assert "h0_s" not in (dest / "report.html").read_text()


def test_tiles_of_10_bits_are_not_taken_for_flat(run: Run, folders: Folders) -> None:
    for path in (folders.lr / "l0.png", folders.hr / "h0.png"):
        cv2.imwrite(str(path), cv2.imread(str(path)).astype(np.uint16) * 4)
    assert run(*folders.flags, *TILE, "--min_detail", 1).code == 0
    whole = len(places("h0"))
    assert len(list((folders.dest / "LR").glob("h0_*"))) > whole / 2


def test_one_side_alone_is_cut_too(run: Run, folders: Folders) -> None:
    assert run(*folders.flags, *TILE, *ALL, "--output", "hr", "--report").code == 0
    assert not (folders.dest / "LR").exists()
    assert len(list((folders.dest / "HR").glob("h0_*"))) == len(places("h0"))
    assert all(tile["lr_output"] is None for pair in report_of(folders.dest)["pairs"] for tile in pair["tiles"])
