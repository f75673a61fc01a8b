"""What images take is admitted against one budget: none takes more, none that fits is lost, nothing waits forever."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.support.command import MEASURED, Run, refused
from tests.support.folders import Folders, contents
from tests.support.paths import ROOT
from tests.support.pictures import cat
from tests.support.report import report_of
from tests.support.slow import thorough
from twimager.pairing import candidates, read, registration
from twimager.runtime import memory
from twimager.runtime.memory import BIG_FILE, MB, Budget, OverBudget, free_memory, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("800M", 800 * MB), ("2G", 2048 * MB), ("1.5gb", 1536 * MB), ("1GiB", 1024 * MB), ("512", 512 * MB)],
)
def test_sizes_are_given_as_elsewhere(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "-1G", "much", "1P", "0x10M", "1 000M"])
def test_what_is_no_size_is_bad_usage(run: Run, folders: Folders, text: str) -> None:
    refused(run(*folders.flags, f"--memory={text}"), 2, "--memory", "800M or 4G")


def test_too_little_memory_is_bad_usage(run: Run, folders: Folders) -> None:
    refused(run(*folders.flags, "--memory", "50M"), 2, "too little; 384M is the least")


def test_some_memory_is_free() -> None:
    assert 50 * MB < free_memory() < 1 << 50


def test_what_never_fits_is_refused_with_a_reason() -> None:
    with (
        pytest.raises(OverBudget, match="takes 200 MB of memory; --memory leaves 100 MB"),
        Budget(100 * MB).admit(200 * MB),
    ):
        pass


def test_no_more_is_admitted_at_once_than_fits() -> None:
    """Threads that take what they may, in every order: the sum never passes the limit, and all come through."""
    budget, lock, used, most = Budget(100), threading.Lock(), [0], [0]

    def take(need: int) -> int:
        with budget.admit(need):
            with lock:
                used[0] += need
                most[0] = max(most[0], used[0])
            with budget.admit(need):  # part of what is held: it must not wait for itself
                pass
            with lock:
                used[0] -= need
        return need

    needs = np.random.default_rng(0).integers(1, 101, 2000).tolist()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(take, needs)) == needs
    assert 90 < most[0] <= 100


def test_large_files_that_wait_for_their_pixels_do_not_wait_for_each_other(tmp_path: Path) -> None:
    for number in range(6):
        with (tmp_path / f"{number}").open("wb") as file:
            file.truncate(BIG_FILE + 1)
    budget = Budget(2 * BIG_FILE + 2)

    def read_one(number: int) -> int:
        with budget.admit_file(tmp_path / f"{number}") as admit:
            admit(BIG_FILE)
            return number

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(read_one, range(6), timeout=30)) == list(range(6))


@pytest.mark.slow
def test_whatever_is_admitted_in_whatever_order_nobody_waits_for_ever(tmp_path: Path) -> None:
    """Small files, large ones, one larger than the budget, and what is admitted in one go, all of them close to it."""
    limit, lock, used, most = 4 * BIG_FILE, threading.Lock(), [0], [0]
    sizes = {"small": MB, "large": BIG_FILE + 1, "largest": 3 * BIG_FILE, "film": 9 * BIG_FILE}
    for name, size in sizes.items():
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    budget = Budget(limit)

    def hold(size: int) -> None:
        with lock:
            used[0] += size
            most[0] = max(most[0], used[0])
        with lock:
            used[0] -= size

    def take(task: tuple[str, float]) -> bool:
        name, share = task
        size = sizes.get(name, 0)
        need = round(share * (limit - size))
        if name == "at once":
            with budget.admit(need):
                hold(need)
        elif name == "film":
            with pytest.raises(OverBudget), budget.admit_file(tmp_path / name) as admit:
                admit(MB)
        else:
            with budget.admit_file(tmp_path / name) as admit:
                time.sleep(0.0005)  # as a file is read
                admit(need)
                hold(size + need)
        return True

    rng = np.random.default_rng(1)
    tasks = list(
        zip(rng.choice([*sizes, "at once"], 3000).tolist(), rng.choice([0.01, 0.5, 0.99, 1], 3000), strict=True)
    )
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(take, tasks, timeout=60))
    assert limit / 2 < most[0] <= limit


@pytest.mark.slow
def test_an_image_that_takes_too_much_costs_itself(run: Run, folders: Folders) -> None:
    """9,000 x 9,000 pixels take 77 MB as gray, twice while they are decoded; of 384 MB 160 are left for images."""
    cv2.imwrite(str(folders.hr / "large.png"), np.zeros((9000, 9000), np.uint8))
    outcome = run(*folders.flags, "--memory", "384M", "--report")
    assert outcome.code == 3
    assert "large.png: unreadable: takes 232 MB of memory; --memory leaves 160 MB" in outcome.err
    assert len(report_of(folders.dest)["pairs"]) == 2
    assert run(*folders.flags[:4], "--dest", folders.dest.with_name("more"), "--memory", "1G").code == 0


def test_what_is_no_image_is_not_too_large(run: Run, folders: Folders) -> None:
    for name in ("film.mkv", "large.bmp"):
        with (folders.hr / name).open("wb") as file:
            file.write(b"\x1a\x45\xdf\xa3" if name == "film.mkv" else b"BM")
            file.truncate(500 * MB)
    outcome = run(*folders.flags, "--memory", "384M")
    assert outcome.code == 3
    assert "film.mkv: unsupported format" in outcome.err
    assert "large.bmp: unreadable: takes 500 MB of memory; --memory leaves 160 MB" in outcome.err
    assert "pairs written: 2" in outcome.out


def test_outputs_that_take_too_much_cost_their_pair(run: Run, folders: Folders) -> None:
    outcome = run(*folders.flags, "--memory", "384M", "--scale", 24)
    assert outcome.code == 3
    assert "h1.png: could not be written: takes" in outcome.err
    assert {name for name in contents(folders.dest) if name.startswith("HR")} == {"HR/h0.png"}


@pytest.mark.parametrize(
    "error", thorough([MemoryError(), cv2.error("Insufficient memory"), np.linalg.LinAlgError("Singular matrix")])
)
@pytest.mark.parametrize("step", ["refine", "make_overlay", "extract_features"])
def test_a_pair_that_is_beyond_the_libraries_costs_itself(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch, error: Exception, step: str
) -> None:
    """Whatever fails for one HR, the pair of the other one is found and written."""
    module = {"refine": registration, "make_overlay": candidates, "extract_features": read}[step]
    inner = getattr(module, step)

    def failing(*arguments, **settings):
        if any("h0.png" in str(getattr(a, "path", "")) or getattr(a, "size", None) == (450, 300) for a in arguments):
            raise error
        return inner(*arguments, **settings)

    monkeypatch.setattr(module, step, failing)
    outcome = run(*folders.flags, "--search", "features", "--report")
    assert outcome.code == 3
    assert "h0.png: could not be compared: " in outcome.err or "h0.png: unreadable: " in outcome.err
    assert [Path(pair["hr"]).name for pair in report_of(folders.dest)["pairs"]] == ["h1.png"]
    assert "Traceback" not in outcome.err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is in kilobytes there")
def test_a_run_over_large_images_keeps_to_its_budget(tmp_path: Path) -> None:
    """Four HRs of 40 megapixels, of which two would take more than there is: all are paired, one after the other."""
    lr, hr = tmp_path / "LR", tmp_path / "HR"
    lr.mkdir()
    hr.mkdir()
    for number, kind in enumerate(("png", "jpg", "tif", "webp")):
        whole = cat()[:, 20 * number :][:, :: 1 if number % 2 else -1]
        height, width = whole.shape[:2]
        size = 7400, round(7400 * height / width)
        large = cv2.resize(whole, size, interpolation=cv2.INTER_CUBIC)
        if kind == "webp":  # as OpenCV writes it, which takes six times as long
            Image.fromarray(large[..., ::-1]).save(hr / f"h{number}.webp", lossless=True, quality=0, method=0)
        else:
            cv2.imwrite(str(hr / f"h{number}.{kind}"), large, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        cv2.imwrite(
            str(lr / f"l{number}.png"), cv2.resize(large, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        )
    command = (
        str(ROOT / "twimager.py"),
        "--lr",
        lr,
        "--hr",
        hr,
        "--dest",
        tmp_path / "out",
        "--memory",
        "640M",
        "--jobs",
        "4",
    )
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, command)], capture_output=True, text=True, check=True
    )
    assert "pairs written: 4" in ended.stdout, ended.stdout + ended.stderr
    code, peak = map(int, ended.stdout.splitlines()[-1].split())
    assert code == 0
    assert peak <= 1.2 * 640


def test_where_the_system_tells_nothing_the_budget_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("system_memory", "address_space"):
        monkeypatch.setattr(memory, name, lambda: None)
    monkeypatch.setattr(memory, "group_memory", lambda: iter(()))
    assert free_memory() == 2 * memory.USUAL


@pytest.mark.skipif(sys.platform != "linux", reason="what is taken is in /proc there")
def test_a_limit_on_addresses_leaves_what_is_not_taken_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 1 << 45
    monkeypatch.setattr("resource.getrlimit", lambda _: (limit, limit))
    left = memory.address_space()
    assert left
    assert MB < limit - left < 1 << 40
    monkeypatch.setattr("resource.getrlimit", lambda _: (-1, -1))
    assert memory.address_space() is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells it in another way")
def test_where_free_memory_is_unknown_half_of_all_is_taken_for_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", unreadable)
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert memory.system_memory() == 500 * 4096
    monkeypatch.delattr("os.sysconf")
    assert memory.system_memory() is None


@pytest.mark.parametrize("command", ["search", "cluster"])
def test_other_commands_name_the_pair_that_is_beyond_the_libraries(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise MemoryError

    copy = cv2.imread(str(folders.hr / "h0.png"))
    cv2.imwrite(str(folders.hr / "copy.jpg"), copy[20:, 30:])
    monkeypatch.setattr(candidates, "make_overlay", failing)
    flags = ("cluster", folders.hr, "--dry", "--verify") if command == "cluster" else ("--in", folders.hr)
    outcome = run(*flags) if command == "cluster" else run("search", folders.lr / "l0.png", *flags)
    assert "Traceback" not in outcome.err
    assert "h0.png" in outcome.err
    assert "could not be compared: out of memory" in outcome.err
