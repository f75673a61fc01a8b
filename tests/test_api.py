"""From Python: known warps are recovered, pairs are those of the command line, and the process stays as it was."""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import twimager
from tests.support.command import Run
from tests.support.marks import linux
from tests.support.paths import EXAMPLES, ROOT
from tests.support.pictures import CAST, cat, picture
from twimager.geometry import frame_corners, scaling, transform_points
from twimager.pairing import workers

LR, HR = EXAMPLES / "LR", EXAMPLES / "HR"
SIZE = (170, 112)
DOCS = (ROOT / "docs/api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", DOCS, flags=re.S)


def turned(degrees: float = 3, scale: float = 0.4) -> Any:
    """Return a matrix from an HR to an LR: rotated, stretched a little, and shifted."""
    angle = np.radians(degrees)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[1.02 * c, -s, 1.3], [s, c, -7.8], [0, 0, 1]])


def lr_of(hr: Any, matrix: Any, size: tuple[int, int] = SIZE) -> Any:
    """Return what lies under `matrix`: sampled on a grid four times as fine, then averaged."""
    fine = cv2.warpPerspective(hr, scaling(4) @ matrix, (4 * size[0], 4 * size[1]), flags=cv2.INTER_CUBIC)
    return cv2.resize(fine, size, interpolation=cv2.INTER_AREA)


def error(found: Any, matrix: Any, hr: Any) -> float:
    """Return by how many LR pixels a corner of the HR is off at most."""
    corners = frame_corners(hr.shape[1::-1])
    return float(np.linalg.norm(transform_points(found, corners) - transform_points(matrix, corners), axis=1).max())


def deep(pixels: Any) -> Any:
    return pixels.astype(np.uint16) * 257


def gray(pixels: Any) -> Any:
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)


@pytest.mark.parametrize("kind", [np.copy, deep, gray, lambda pixels: gray(deep(pixels))], ids=["8", "16", "g8", "g16"])
def test_a_known_warp_of_an_array_is_recovered(kind: Any) -> None:
    hr = cat()
    made, lr = kind(hr), kind(lr_of(hr, turned()))
    found = twimager.align(made, lr)
    assert error(found.matrix, turned(), hr) < 0.05
    assert found.scores.correlation > 0.95
    assert found.scores.hash_agreement
    assert found.scores.residual_shift is not None
    assert found.scores.color_distance is None
    assert found.scores.coverage == pytest.approx(1, abs=0.05)
    assert not found.mirrored
    assert found.displacement is None
    assert len(pickle.dumps(found)) < 20_000
    warped = found.warp(made, 3)
    assert warped.dtype == made.dtype
    assert warped.shape == (3 * SIZE[1], 3 * SIZE[0], *made.shape[2:])
    x, y, width, height = found.window
    small = cv2.resize(warped, SIZE, interpolation=cv2.INTER_AREA).astype(float)
    difference = np.abs(small - lr)[y : y + height, x : x + width].mean()
    assert difference < 0.02 * np.iinfo(made.dtype).max


@pytest.mark.parametrize("extension", [".png", ".jpg"])
def test_a_known_warp_of_a_file_is_recovered(tmp_path: Path, extension: str) -> None:
    hr, files = cat(), (tmp_path / f"hr{extension}", str(tmp_path / f"lr{extension}"))
    for file, pixels in zip(files, (hr, lr_of(hr, turned())), strict=True):
        cv2.imwrite(str(file), pixels, [cv2.IMWRITE_JPEG_QUALITY, 98])
    found = twimager.align(*files)
    assert error(found.matrix, turned(), hr) < 0.05
    assert (found.warp(files[0], 2) == found.warp(cv2.imread(str(files[0])), 2)).all()


def test_black_bars_are_pixels_too() -> None:
    hr = cat()
    bars = cv2.copyMakeBorder(hr, 40, 40, 0, 0, cv2.BORDER_CONSTANT)
    lr = cv2.copyMakeBorder(lr_of(hr, turned()), 0, 0, 15, 15, cv2.BORDER_CONSTANT)
    found = twimager.align(bars, lr)
    moved = np.array([[1, 0, 15], [0, 1, 0], [0, 0, 1]]) @ turned() @ np.array([[1, 0, 0], [0, 1, -40], [0, 0, 1]])
    assert error(found.matrix, moved, bars) < 0.05
    assert found.window[0] >= 15


def test_a_mirror_image_is_recovered_and_its_warp_is_not_mirrored() -> None:
    hr = cat()
    lr = lr_of(hr, turned())
    found = twimager.align(hr[:, ::-1], lr)
    assert found.mirrored
    flip = np.array([[-1, 0, hr.shape[1] - 1], [0, 1, 0], [0, 0, 1]])
    assert error(found.matrix, turned() @ flip, hr) < 0.05
    assert np.abs(cv2.resize(found.warp(hr[:, ::-1]), SIZE, interpolation=cv2.INTER_AREA) - lr.astype(float)).mean() < 5
    with pytest.raises(twimager.AlignmentError):
        twimager.align(hr[:, ::-1], lr, mirror=False)


def test_a_perspective_is_recovered_by_a_method_that_has_one() -> None:
    hr, matrix = cat(), turned()
    matrix[2, :2] = 2e-4, -1e-4
    found = twimager.align(hr, lr_of(hr, matrix), method="warp")
    assert error(found.matrix / found.matrix[2, 2], matrix, hr) < 0.1


@pytest.mark.slow
def test_a_displacement_says_where_the_matrix_leads_to() -> None:
    hr = cv2.resize(picture("P1040102"), (900, 600), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:600, :900].astype(np.float32)
    bent = cv2.remap(hr, x + 8 * np.sin(y / 90), y + 6 * np.cos(x / 110), cv2.INTER_CUBIC)
    lr = cv2.resize(hr, (450, 300), interpolation=cv2.INTER_AREA)
    found = twimager.align(bent, lr, method="flow")
    assert found.displacement is not None
    assert found.displacement.shape == (300, 450, 2)
    where = np.mgrid[:300, :450][::-1].transpose(1, 2, 0) + found.displacement
    source = transform_points(np.linalg.inv(found.matrix), where.reshape(-1, 2).astype(float)).reshape(300, 450, 2)
    shown = cv2.remap(bent, *source.astype(np.float32).transpose(2, 0, 1), cv2.INTER_LINEAR)
    warped = found.warp(bent, 1)
    inner = np.s_[20:-20, 20:-20]
    assert np.abs(shown.astype(float) - warped)[inner].mean() < 3
    assert np.abs(warped.astype(float) - lr)[inner].mean() < 5
    rigid = twimager.align(bent, lr, max_difference=1).warp(bent, 1)
    assert np.abs(warped.astype(float) - lr)[inner].mean() < 0.7 * np.abs(rigid.astype(float) - lr)[inner].mean()


def test_arrays_are_left_as_they_were() -> None:
    hr, lr = cat(), lr_of(cat(), turned())
    before = hr.copy(), lr.copy()
    twimager.align(hr, lr).warp(hr)
    assert hr.flags.writeable
    assert (hr == before[0]).all()
    assert (lr == before[1]).all()


def test_several_threads_may_align_at_once() -> None:
    hrs = [picture(name) for name in ("P1040518", "P1040102", "P1040771", "P1040209")]
    threads = cv2.getNumThreads()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda hr: twimager.align(hr, lr_of(hr, turned())).matrix, hrs))
    assert max(error(matrix, turned(), hr) for matrix, hr in zip(found, hrs, strict=True)) < 0.05
    assert cv2.getNumThreads() == threads


def test_an_alignment_survives_pickling_and_shows_its_scores() -> None:
    found = twimager.align(cat(), lr_of(cat(), turned()))
    again = pickle.loads(pickle.dumps(found))
    assert (again.matrix == found.matrix).all()
    assert (again.warp(cat()) == found.warp(cat())).all()
    assert re.fullmatch(r"<Alignment correlation=0\.9\d+ .*inliers=\d+>", repr(found))


def test_pictures_of_different_things_raise_and_say_why() -> None:
    with pytest.raises(twimager.AlignmentError, match="pixels of the aligned pair differ: correlation") as raised:
        twimager.align(cat(), picture("P1040102"))
    assert raised.value.rejection.reason is twimager.Reason.CORRELATION
    assert isinstance(raised.value, twimager.TwimagerError)
    again = pickle.loads(pickle.dumps(raised.value))
    assert str(again) == str(raised.value)


def test_a_gate_that_is_not_passed_raises() -> None:
    hr = cat()
    with pytest.raises(twimager.AlignmentError, match="too little overlap"):
        twimager.align(hr[:, 200:], lr_of(hr, turned()), min_overlap=0.9)


def test_an_image_of_one_level_raises() -> None:
    with pytest.raises(twimager.AlignmentError, match="nothing to see"):
        twimager.align(cat(), np.full((90, 120), 128, np.uint8))


def test_a_file_that_cannot_be_read_raises_and_is_named(tmp_path: Path) -> None:
    for name, content, kind in (("a.png", b"", "empty"), ("b.txt", b"text", "not an image"), ("c", None, "No such")):
        file = tmp_path / name
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(twimager.UnreadableImage, match=re.escape(str(file)) + f": .*{kind}"):
            twimager.align(cat(), file)
        with pytest.raises(twimager.UnreadableImage, match=re.escape(str(file)) + f": .*{kind}"):
            twimager.search(file, HR)


@pytest.mark.parametrize(
    ("array", "kind", "message"),
    [
        (np.zeros((9, 9), np.float32), TypeError, "hr has values of float32; they must be uint8 or uint16"),
        (np.zeros((9, 9, 4), np.uint8), ValueError, r"hr is an array of shape \(9, 9, 4\); it must be \(h, w\) or"),
        (np.zeros((0, 9), np.uint8), ValueError, r"hr is an array of shape \(0, 9\)"),
        (np.zeros(9, np.uint8), ValueError, r"hr is an array of shape \(9,\)"),
        (None, TypeError, "NoneType"),
    ],
)
def test_what_is_no_picture_is_refused(array: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        twimager.align(array, cat())


def test_another_hr_than_was_aligned_is_not_warped(tmp_path: Path) -> None:
    found = twimager.align(cat(), lr_of(cat(), turned()))
    with pytest.raises(ValueError, match="hr is 20x10; 451x300 was aligned"):
        found.warp(cat()[:10, :20])
    cv2.imwrite(str(tmp_path / "other.png"), cat()[:10, :20])
    with pytest.raises(twimager.UnreadableImage, match=r"other\.png"):
        found.warp(tmp_path / "other.png")
    with pytest.raises(twimager.UsageError, match="scale must be above 0"):
        found.warp(cat(), 0)


def test_parameters_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    for parameters in ({"threshold": 1}, {"distance": 65}, {"min_overlap": 2}, {"scale": 33}, {"jobs": 0}):
        with pytest.raises(twimager.UsageError, match=next(iter(parameters))):
            twimager.find_pairs(LR, HR, **parameters)
    for parameters in ({"method": "bend"}, {"search": "luck"}):
        with pytest.raises(ValueError, match=r"bend|luck"):
            twimager.find_pairs(LR, HR, **parameters)
    with pytest.raises(twimager.UsageError, match="there is no folder"):
        twimager.find_pairs(tmp_path / "none", HR)
    with pytest.raises(twimager.UsageError, match="no files"):
        next(twimager.find_pairs(tmp_path, HR))
    for parameters in ({"top": 0}, {"min_score": 2}, {"jobs": 0}):
        with pytest.raises(twimager.UsageError, match=next(iter(parameters))):
            twimager.search(cat(), HR, **parameters)
    with pytest.raises(twimager.UsageError, match="looked into"):
        twimager.search(cat(), tmp_path / "none")


def test_pairs_are_those_of_the_command_line_and_warped_as_it_writes_them(run: Run, tmp_path: Path) -> None:
    run("--lr", LR, "--hr", HR, "--dest", tmp_path, "--report", "--border", "keep", "--scale", "3")
    reported = {pair["lr"]: pair for pair in json.loads((tmp_path / "report.json").read_text())["pairs"]}
    found = list(twimager.find_pairs(LR, str(HR), scale=3))
    assert {pair.lr.stem: pair.hr.stem for pair in found} == CAST
    for pair in found:
        known = reported[str(pair.lr)]
        assert known["hr"] == str(pair.hr)
        assert known["matrix"] == pair.matrix.tolist()
        assert known["inliers"] == pair.inliers
        assert known["correlation"] == round(pair.scores.correlation, 4)
        assert known["hash_agreement"] == round(pair.scores.hash_agreement or 0, 4)
        assert known["native_scale"] == round(pair.native_scale, 4)
        assert known["rivals"] == list(map(str, pair.rivals))
        assert (cv2.imread(known["hr_output"]) == pair.warp(pair.hr, 3)).all()


@pytest.mark.slow
def test_what_align_finds_is_what_a_run_finds() -> None:
    for pair in twimager.find_pairs(LR, HR):
        alone = twimager.align(pair.hr, pair.lr)
        assert error(alone.matrix, pair.matrix, cv2.imread(str(pair.hr))) < 0.1


def test_a_second_call_goes_by_what_was_saved(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    first, second = (list(twimager.find_pairs(LR, HR, save=store)) for _ in range(2))
    assert store.stat().st_size > 10_000
    assert [(pair.lr, pair.matrix.tolist()) for pair in first] == [(pair.lr, pair.matrix.tolist()) for pair in second]


def test_files_that_cannot_be_read_are_logged_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(LR, tmp_path / "lr")
    (tmp_path / "lr/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    capfd.readouterr()
    with caplog.at_level(logging.WARNING, "twimager"):
        assert len(list(twimager.find_pairs(tmp_path / "lr", HR))) == 8
    assert [record.name for record in caplog.records] == ["twimager"]
    assert "broken.png: unreadable: cut short" in caplog.text
    assert capfd.readouterr() == ("", "")


def children() -> set[str]:
    """Return the processes that this one has started and that have not ended."""
    left = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                left.add(process.name)
        except OSError:
            continue
    return left


@pytest.mark.slow
@linux
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_iterator_that_is_closed_leaves_no_thread_and_no_process(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WORTH_PROCESSES", 2)
    threads, processes = set(threading.enumerate()), children()
    pairs = twimager.find_pairs(LR, HR, jobs=jobs)
    next(pairs)
    assert children() > processes
    pairs.close()
    assert set(threading.enumerate()) <= threads
    assert children() <= processes
    assert list(pairs) == []


UNCHANGED = """
import os, signal, sys, warnings
import cv2, numpy
cv2.setNumThreads(3)

def state():
    handlers = [signal.getsignal(number) for number in sorted(signal.valid_signals())]
    return os.getcwd(), dict(os.environ), handlers, list(warnings.filters), cv2.getNumThreads(), os.fstat(2)[:3]

before = state()
import twimager
lr, hr = sys.argv[1:]
pairs = twimager.find_pairs(lr, hr)
within = twimager.find_pairs(lr, hr)
next(pairs), next(within)
pairs.close()
assert cv2.getNumThreads() == 1  # a call goes on
within.close()
twimager.align(hr + "/P1040518.jpg", lr + "/still_07.jpg")
twimager.search(lr + "/still_07.jpg", hr)
assert state() == before, (state(), before)
assert twimager.align.__module__ == twimager.search.__module__ == "twimager.api.calls"
"""


@pytest.mark.slow
def test_a_program_that_calls_it_stays_as_it_was_and_nothing_is_printed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNCHANGED, LR, HR], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


LIGHT = """
import sys
import twimager, twimager.errors
assert dir(twimager)
heavy = {"cv2", "numpy", "scipy", "faiss", "PIL", "tqdm"} & set(sys.modules)
assert not heavy, heavy
"""


def test_importing_it_imports_nothing_heavy() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], cwd=ROOT, check=True)


def test_what_is_promised_is_there_and_nothing_else() -> None:
    assert all(getattr(twimager, name).__doc__ for name in twimager.__all__)
    assert set(twimager.__all__) < set(dir(twimager))
    with pytest.raises(AttributeError, match="no attribute 'allign'"):
        twimager.allign  # noqa: B018


@pytest.mark.slow
@pytest.mark.parametrize("first", ["twimager.align.matching", "twimager.search.job"])
def test_the_subpackages_of_the_same_names_do_not_hide_the_functions(first: str) -> None:
    script = (
        f"import {first}, twimager; from twimager import align, search; assert callable(align) and callable(search)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_search_finds_the_picture_first() -> None:
    found = twimager.search(LR / "still_07.jpg", HR, top=3)
    assert len(found) == 3
    assert found[0].path == HR / "P1040518.jpg"
    assert found[0].matrix is not None
    assert found[0].shown == pytest.approx(1, abs=0.05)
    assert found[0].score > found[1].score
    assert found[1].matrix is None
    alone = twimager.align(found[0].path, LR / "still_07.jpg")
    assert error(found[0].matrix, alone.matrix, cat()) < 0.1
    array = twimager.search(cv2.imread(str(LR / "still_07.jpg")), HR, top=1, recursive=True)
    assert [one.path for one in array] == [found[0].path]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_examples_of_the_page_run(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "docs/api.md", "exec"), {"__name__": "__main__"})


def test_the_page_names_all_that_is_promised() -> None:
    assert {name for name in twimager.__all__ if f"`{name}" not in DOCS} == set()


@pytest.mark.slow
def test_the_examples_of_the_page_are_typed(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text("\n".join(BLOCKS) + "\nreveal_type(twimager.align)\ntwimager.allign\n")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", tmp_path / "user.py"], cwd=ROOT, env={**os.environ, "MYPYPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    revealed, misspelt, found = checked.stdout.splitlines()
    assert "method: Literal['transform']" in revealed
    assert "twimager.api.results.Alignment" in revealed
    assert 'no attribute "allign"' in misspelt
    assert found.startswith("Found 1 error")
