"""`cluster`: near-duplicates come together in folders, on a page and as JSON, and nothing of the user's is touched."""

import argparse
import base64
import contextlib
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import cv2
import numpy as np
import pytest

from tests.support.command import Run, launched, refused
from tests.support.page import Parsed
from tests.support.paths import BENCH, ROOT
from tests.support.pictures import picture
from twimager.cli.commands import cluster
from twimager.cluster import links
from twimager.cluster.quality import sharpness
from twimager.fingerprint import working_image
from twimager.image import decode

NAMES = ("P1040102", "P1040355", "P1040518")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for name in NAMES:
        whole = picture(name)
        height, width = whole.shape[:2]
        for variant, pixels in (
            ("whole", whole), ("small", cv2.resize(whole, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)),
            ("part", whole[height // 4 :, : width * 3 // 4]), ("mirrored", whole[:, ::-1]),
        ):  # fmt: skip
            cv2.imwrite(str(folder / f"{name}_{variant}.png"), pixels)
    cv2.imwrite(str(folder / "alone.png"), picture("P1040209"))
    return folder


@pytest.fixture
def photos(made_once: Path, tmp_path: Path) -> Path:
    """Three photographs, four images of each: whole, small, a part, mirrored; and one that is alone."""
    return shutil.copytree(made_once, tmp_path / "photos")


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "out"


def found(run: Run, *arguments: object, code: int = 0) -> dict[str, Any]:
    outcome = run("cluster", *arguments, "--json")
    assert outcome.code == code, outcome.err
    return json.loads(outcome.out)


def names(document: dict[str, Any]) -> set[frozenset[str]]:
    """Return the names of the members of all groups of more than one."""
    groups = (frozenset(Path(member["path"]).stem for member in g["members"]) for g in document["clusters"])
    return {group for group in groups if len(group) > 1}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def copies(*variants: str) -> set[frozenset[str]]:
    return {frozenset(f"{name}_{variant}" for variant in variants) for name in NAMES}


def test_groups_become_folders_of_links(run: Run, photos: Path, dest: Path) -> None:
    before = contents(photos)
    outcome = run("cluster", photos, "--dest", dest)
    assert outcome.code == 0
    assert outcome.out.splitlines()[:3] == ["items per cluster : number of such clusters", "1 : 7", "2 : 3"]
    assert contents(photos) == before
    folders = sorted(dest.glob("cluster_with_*/cluster_*"))
    assert [folder.relative_to(dest).as_posix() for folder in folders if "with_2" in folder.parent.name] == [
        f"cluster_with_2/cluster_{number}" for number in (1, 2, 3)
    ]
    placed = [link for folder in folders for link in folder.iterdir()]
    assert sorted(link.name for link in placed) == sorted(path.name for path in before)
    assert all(link.is_symlink() and link.resolve() == (photos / link.name).resolve() for link in placed)
    assert {frozenset(link.stem for link in folder.iterdir()) for folder in folders[-3:]} == copies("whole", "small")
    assert not list(dest.rglob(".*"))


def test_json_holds_all(run: Run, photos: Path, dest: Path) -> None:
    document = found(run, photos, "--dest", dest, "--quiet")
    assert document["sizes"] == {"1": 7, "2": 3}
    assert (document["images"], document["unreadable"], document["bits"], document["similarity"]) == (13, 0, 64, 0.2)
    first = document["clusters"][0]
    assert first["folder"] == "cluster_with_2/cluster_1"
    assert first["best"] == first["members"][0]["path"] == str(photos / "P1040102_whole.png")
    assert first["members"][0]["size"] == [600, 400]
    assert first["members"][1]["distance"] <= 12
    assert (dest / "clusters.html").is_file()


@pytest.mark.slow
def test_verify_joins_what_is_reframed_and_mirrored(run: Run, photos: Path) -> None:
    assert names(found(run, photos, "--dry")) == copies("whole", "small")
    document = found(run, photos, "--dry", "--verify")
    assert names(document) == copies("whole", "small", "part", "mirrored")
    assert document["verified"]


@pytest.mark.slow
def test_verify_splits_what_is_not_the_same(run: Run, photos: Path) -> None:
    flags = "--dry", "--hash_size", 16, "--similarity", 1
    assert [len(group) for group in names(found(run, photos, *flags))] == [13]
    assert names(found(run, photos, *flags, "--verify")) == copies("whole", "small", "part", "mirrored")


@pytest.mark.slow
def test_result_depends_on_neither_workers_nor_the_order_of_folders(run: Run, photos: Path, tmp_path: Path) -> None:
    for path in [*photos.glob("P1040102*"), *photos.glob("P1040355*")]:
        path.unlink()
    other = tmp_path / "a_second"
    other.mkdir()
    for path in sorted(photos.glob("*small*")):
        path.rename(other / path.name)
    documents = [
        found(run, *folders, "--dry", "--verify", "--jobs", jobs)
        for folders, jobs in (((photos, other), 1), ((photos, other), 3), ((other, photos, other), 2))
    ]
    for document in documents:
        document.pop("folders")
    assert documents[0] == documents[1] == documents[2]


def test_plain_pictures_differ_by_their_tone(run: Run, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for name, level, size in (("black", 0, 90), ("black_small", 0, 50), ("gray", 128, 90), ("gray_too", 128, 90)):
        cv2.imwrite(str(plain / f"{name}.png"), np.full((size, size, 3), level, np.uint8))
    together = {frozenset({"black", "black_small"}), frozenset({"gray", "gray_too"})}
    assert names(found(run, plain, "--dry", "--similarity", 1, "--verify")) == together


def test_copies_and_hard_links(run: Run, photos: Path, tmp_path: Path) -> None:
    for flag, same in (("--copy", False), ("--hardlink", True)):
        dest = tmp_path / flag
        assert run("cluster", photos, "--dest", dest, flag).code == 0
        placed = list(dest.rglob("*.png"))
        assert len(placed) == 13
        for path in placed:
            assert not path.is_symlink()
            assert path.samefile(photos / path.name) == same
            assert path.read_bytes() == (photos / path.name).read_bytes()
    refused(run("cluster", photos, "--dest", tmp_path / "x", "--copy", "--hardlink"), 2, "--hardlink")


def no_link(*_: object, **__: object) -> None:
    raise OSError(1314, "A required privilege is not held by the client")


def test_without_the_right_to_symbolic_links_they_are_hard_ones(
    run: Run, photos: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links.os, "symlink", no_link)
    outcome = run("cluster", photos, "--dest", dest)
    assert outcome.code == 0
    assert outcome.err.count("hard links") == 1
    assert all(path.samefile(photos / path.name) and not path.is_symlink() for path in dest.rglob("*.png"))


def test_where_there_can_be_no_links_copies_are_advised(
    run: Run, photos: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links.os, "symlink", no_link)
    monkeypatch.setattr(links.os, "link", no_link)
    outcome = run("cluster", photos, "--dest", dest)
    assert outcome.code == 1
    assert "--copy" in outcome.err.splitlines()[-1]


def test_equal_names_do_not_meet(run: Run, photos: Path, tmp_path: Path, dest: Path) -> None:
    for folder in ("second", "third"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ALONE.png").write_bytes((photos / "alone.png").read_bytes())
    assert run("cluster", photos, tmp_path / "second", tmp_path / "third", "--dest", dest, "--similarity", 0).code == 0
    placed = sorted(path.name for path in (dest / "cluster_with_3" / "cluster_1").iterdir())
    assert len(placed) == len({name.lower() for name in placed}) == 3


def test_an_image_counts_once_however_many_links_lead_to_it(run: Run, photos: Path) -> None:
    (photos / "again.png").symlink_to(photos / "alone.png")
    assert found(run, photos, photos, "--dry")["images"] == 13


def test_overwriting_deletes_nothing(run: Run, photos: Path, dest: Path) -> None:
    (dest / "cluster_with_2").mkdir(parents=True)
    (dest / "cluster_with_2" / "mine.txt").write_text("mine")
    refused(run("cluster", photos, "--dest", dest), 2, "not empty", "--overwrite")
    before = contents(photos)
    for flags in ([], ["--hardlink"], ["--hardlink"], ["--copy"], []):
        assert run("cluster", photos, "--dest", dest, "--overwrite", *flags).code == 0
    assert (dest / "cluster_with_2" / "mine.txt").read_text() == "mine"
    assert contents(photos) == before
    assert len(list(dest.rglob("*.png"))) == 13
    assert all(path.is_symlink() for path in dest.rglob("*.png"))
    assert not list(dest.rglob(".twimager*"))


@pytest.mark.parametrize(
    "flags", [[], pytest.param(["--verify"], marks=pytest.mark.slow), ["--verify", "--resize", "0.5"]]
)
def test_a_second_run_reads_nothing(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    (photos / "twin.png").write_bytes((photos / "alone.png").read_bytes())
    flags += ["--dry", "--save", str(tmp_path / "kept")]
    first = found(run, photos, *flags)
    monkeypatch.setattr(decode, "read_bytes", no_link)
    assert found(run, photos, *flags) == first


@pytest.mark.slow
def test_kept_copies_stand_for_the_images(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other hashes and other questions, and not one image is read again."""
    flags = "--dry", "--resize", 0.8, "--save", tmp_path / "kept"
    assert names(found(run, photos, *flags)) == copies("whole", "small")
    monkeypatch.setattr(decode, "read_bytes", no_link)
    monkeypatch.setattr(working_image, "recent", working_image.LRUCache(working_image.RECENT_BYTES))
    unread = contextlib.nullcontext(np.zeros((9, 9, 3), np.uint8))
    monkeypatch.setattr("twimager.cluster.quality.picture", lambda *_, **__: unread)
    document = found(run, photos, *flags, "--hash_size", 12, "--verify")
    assert names(document) == copies("whole", "small", "part", "mirrored")
    assert document["bits"] == 144


@pytest.mark.parametrize("flags", [[], ["--resize", "0.5"]])
def test_files_that_cannot_be_read_are_named(run: Run, photos: Path, flags: list[str]) -> None:
    (photos / "broken.png").write_bytes((photos / "alone.png").read_bytes()[:2000])
    (photos / "odd\n\udcff.txt" if sys.platform == "linux" else photos / "odd.txt").write_bytes(b"no image")
    outcome = run("cluster", photos, "--dry", "--json", *flags)
    assert outcome.code == 3
    assert json.loads(outcome.out)["unreadable"] == 2
    assert len(outcome.err.splitlines()) == 2
    assert "broken.png" in outcome.err


def test_nothing_alike(run: Run, photos: Path, tmp_path: Path, dest: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for name in ("alone.png", "P1040102_whole.png"):
        (photos / name).rename(few / name)
    assert run("cluster", few, "--dest", dest).code == 4
    assert "No two are alike" in (dest / "clusters.html").read_text()
    (few / "alone.png").write_bytes(b"")
    (few / "P1040102_whole.png").write_bytes(b"")
    for flag in ("--dry", "--verify"):
        assert run("cluster", few, "--dry", flag).code == 4


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--similarity", "1.1"], "0 to 1"),
        (["--similarity", "nan"], "0 to 1"),
        (["--hash_size", "7"], "8 to 16"),
        (["--hash_size", "17"], "8 to 16"),
        (["--resize", "0"], "above 0"),
        (["--resize", "2"], "at most 1"),
        (["--jobs", "0"], "1 or more"),
        (["--linkage", "ward"], "--linkage"),
        (["--save"], "--save"),
        (["--no_such"], "--no_such"),
    ],
)
def test_options_that_do_not_fit(run: Run, photos: Path, flags: list[str], word: str) -> None:
    refused(run("cluster", photos, "--dry", *flags), 2, word)


def test_folders_that_do_not_fit(run: Run, photos: Path, dest: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(run("cluster", "--dest", dest), 2, "DIR")
    refused(run("cluster", photos), 2, "--dest")
    refused(run("cluster", photos, tmp_path / "gone", "--dest", dest), 2, "no folder")
    refused(run("cluster", photos / "alone.png", "--dest", dest), 2, "is a file")
    refused(run("cluster", empty, "--dest", dest), 2, "no files", "--recursive")
    refused(run("cluster", photos, "--dest", photos / "alone.png"), 2, "is a file")
    refused(run("cluster", photos, "--dry", "--save", photos / "kept"), 2, "apart")
    for inside in (photos, photos / "out", tmp_path):
        refused(run("cluster", photos, "--dest", inside, "--overwrite"), 2, "apart")
    assert not dest.exists()


def test_help_waits_for_no_heavy_module() -> None:
    ended = launched("cluster", "-h")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert all(option in ended.stdout for option in options())
    script = "import sys, twimager.cli.commands.cluster; print({'cv2', 'numpy', 'scipy'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ended.stdout == "set()\n"


def options() -> set[str]:
    parser = argparse.ArgumentParser(add_help=False)
    cluster.add_arguments(parser)
    return {name for action in parser._actions for name in action.option_strings}


def test_the_page_shows_the_groups(run: Run, photos: Path, dest: Path) -> None:
    odd = photos / """P1<img src=x onerror="alert(1)">'&amp; #50%.png"""
    (photos / "P1040102_whole.png").rename(odd)
    assert run("cluster", photos, "--dest", dest).code == 0
    made = (dest / "clusters.html").read_bytes()
    parsed = Parsed(made)
    images = [dict(attrs) for tag, attrs in parsed.tags if tag == "img"]
    shown = {(dest / unquote(image["src"])).resolve() for image in images}
    assert shown == {odd.resolve(), *(photos / f"{n}_{v}.png" for n in NAMES for v in ("whole", "small"))} - {
        photos / "P1040102_whole.png"
    }
    assert all(set(image) == {"loading", "decoding", "alt", "src"} for image in images)
    assert sum(dict(attrs).get("class") == "flag" for _, attrs in parsed.tags) == 3
    digest = base64.b64encode(hashlib.sha256(parsed.inline["style"].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in parsed.policy
    assert "default-src 'none'" in parsed.policy
    assert not re.search(rb"(?i)<script|https?:|@import|url\(", made)


def test_the_page_says_in_which_folder_an_image_is(run: Run, photos: Path, dest: Path) -> None:
    (photos / "Paris <1999>").mkdir()
    (photos / "P1040102_small.png").rename(photos / "Paris <1999>" / "again.png")
    assert run("cluster", photos, "--dest", dest, "--recursive").code == 0
    made = (dest / "clusters.html").read_text("utf-8")
    assert made.count(f'<span class="place">{photos.name}/Paris &lt;1999&gt;</span>') == 1
    assert made.count(f'<span class="place">{photos.name}</span>') > 1


def test_the_sharpest_of_equally_large_ones_is_the_best(run: Run, photos: Path) -> None:
    whole = picture("P1040102")
    assert sharpness(whole) > sharpness(cv2.GaussianBlur(whole, (0, 0), 0.7))
    cv2.imwrite(str(photos / "P1040102_a_soft.png"), cv2.GaussianBlur(whole, (0, 0), 1))
    cv2.imwrite(str(photos / "P1040102_a_jpeg.jpg"), whole, [cv2.IMWRITE_JPEG_QUALITY, 30])
    first = found(run, photos, "--dry")["clusters"][0]
    assert len(first["members"]) == 4
    assert first["best"].endswith("P1040102_whole.png")


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not BENCH.is_dir(), reason="the shared photographs are not here")
def test_variants_of_photographs_come_together(run: Run, tmp_path: Path) -> None:
    """Every sixth of the photographs: seven images of each of 11, and 6 that are alone."""
    spec = importlib.util.spec_from_file_location("near_duplicates", ROOT / "benchmarks" / "near_duplicates.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    made = tmp_path / "made"
    made.mkdir()
    benchmark.make(sorted((BENCH / "photos").glob("*.jpg"))[::6], made, np.random.default_rng(1))
    for flags, precision, recall in (([], 0.99, 0.2), (["--verify"], 1.0, 0.97)):
        document = found(run, made, "--dry", *flags)
        groups = [
            Counter(Path(m["path"]).name.split(benchmark.MARK)[0] for m in g["members"]) for g in document["clusters"]
        ]
        right = sum(benchmark.couples(group.values()) for group in groups)
        together = benchmark.couples(sum(group.values()) for group in groups)
        true = benchmark.couples(sum(groups, Counter()).values())
        assert right / together >= precision
        assert right / true >= recall
