"""The page of a report: it shows what the report holds, whatever the names are, and requests nothing of a network."""

import base64
import hashlib
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import cv2
import numpy as np
import pytest

from tests.support.command import Run, refused
from tests.support.folders import Folders, paste
from tests.support.page import NASTY, Parsed
from tests.support.report import report_of, typed
from twimager.report.page import page
from twimager.report.thumbnails import make_thumbnails, thumbnails_of
from twimager.runtime.console import Console


@pytest.fixture
def report(run: Run, folders: Folders) -> dict[str, Any]:
    """The report of two pairs and an HR left over."""
    shutil.copy(folders.lr / "l0.png", folders.hr / "small.png")
    run(*folders.flags, "--report", "--min_native_scale", 1)
    return report_of(folders.dest)


def test_the_page_shows_what_the_report_holds(folders: Folders, report: dict[str, Any]) -> None:
    shown = Parsed((folders.dest / "report.html").read_bytes()).data
    assert len(shown["pairs"]) == len(report["pairs"]) == 2
    for card, pair in zip(shown["pairs"], report["pairs"], strict=True):
        links = [folders.dest / unquote(link) for link in card["images"]]
        assert [str(link) for link in links] == [pair["lr_output"], pair["hr_output"]]
        assert all(card[key] == pair[key] for key in ("residual", "correlation", "coverage", "window", "method"))
    (left,) = shown["rejected"]
    assert (left["side"], left["name"]) == ("HR", "small.png")
    assert (folders.dest / unquote(left["image"])).resolve() == folders.hr / "small.png"
    assert left["closest"]["name"] in ("l0.png", "l1.png")


def test_the_one_that_came_closest_has_the_highest_score(folders: Folders, report: dict[str, Any]) -> None:
    plain = report["rejected_pairs"][0]
    hr = report["rejected_images"][0]["path"]
    report["rejected_pairs"] = [
        {**plain, "hr": hr, "lr": lr, "correlation": correlation, "coverage": coverage, "inliers": inliers}
        for lr, correlation, coverage, inliers in (
            ("/a.png", None, None, 90), ("/b.png", 0.5, 1.0, 9), ("/c.png", 0.9, 0.5, 30), ("/d.png", None, None, None),
        )
    ]  # fmt: skip
    (left,) = Parsed(page(typed(report), folders.dest)).data["rejected"]
    assert (left["closest"]["name"], left["looked"]) == ("b.png", 4)


def test_names_stay_text(folders: Folders, report: dict[str, Any]) -> None:
    plain = Parsed(page(typed(report), folders.dest))
    text = json.dumps(report).replace("h0.png", json.dumps(f"{NASTY.replace('/', '|')}.png")[1:-1])
    odd = json.loads(text.replace("l0.png", json.dumps(f"{NASTY}.png")[1:-1]))
    made = page(typed(odd), folders.dest)
    parsed = Parsed(made)
    assert parsed.tags == plain.tags
    assert parsed.inline["script"] == plain.inline["script"]
    assert any(NASTY.replace("/", "|") in card["name"] for card in parsed.data["pairs"])
    assert made.count(b"<script") == 2
    assert b"alert(" not in re.sub(rb'<script type="application/json".*?</script>', b"", made)


def test_the_page_loads_nothing_and_runs_nothing_else(folders: Folders, report: dict[str, Any]) -> None:
    made = page(typed(report), folders.dest).replace(b'url("${png}")', b"")  # of data that is in the page
    parsed = Parsed(page(typed(report), folders.dest))
    assert not re.search(rb"(?i)https?:|//[a-z]+\.|@import|url\(", made)
    assert not re.search(rb"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function", made)
    for tag in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(parsed.inline[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in parsed.policy
    assert "default-src 'none'" in parsed.policy
    assert "unsafe" not in parsed.policy
    assert "connect-src" not in parsed.policy
    assert not any(name.startswith("on") or name == "style" for _, attrs in parsed.tags for name, _ in attrs)


def test_thumbnails_are_small_and_taken_over(folders: Folders, report: dict[str, Any]) -> None:
    cv2.imwrite(str(folders.hr / "large.png"), np.zeros((90, 900, 3), np.uint8))
    text = json.dumps(report).replace("small.png", "large.png")
    report = json.loads(text)
    kept = folders.dest / "report.html"
    kept.write_bytes(page(typed(report), folders.dest, make_thumbnails(1, Console(quiet=True))))
    shown = Parsed(kept.read_bytes()).data
    (left,) = shown["rejected"]
    links = {left["image"], left["closest"]["image"], *(link for card in shown["pairs"] for link in card["images"])}
    assert shown["thumbnails"].keys() == links
    sizes = {link: decoded_size(thumbnail) for link, thumbnail in shown["thumbnails"].items()}
    assert sizes[left["image"]] == (240, 24)
    assert all(width <= 240 and height <= 180 for width, height in sizes.values())
    assert page(typed(report), folders.dest, thumbnails_of(kept)) == kept.read_bytes()
    kept.write_bytes(b"something else")
    assert thumbnails_of(kept)(dict.fromkeys(links, kept)) == {}


def decoded_size(data_uri: str) -> tuple[int, int]:
    height, width = cv2.imdecode(np.frombuffer(base64.b64decode(data_uri.partition(",")[2]), np.uint8), 1).shape[:2]
    return width, height


@pytest.mark.parametrize(
    "flags", [["--crop", 2, "--no_mirror", "--scale", "3/2", "--prefix", "it's"], ["--for", "kair"]]
)
def test_the_command_of_a_page_makes_the_same_report(run: Run, folders: Folders, flags: list[object]) -> None:
    run(*folders.flags, "--report", "--overwrite", *flags)
    first = report_of(folders.dest)
    command = Parsed((folders.dest / "report.html").read_bytes()).data["run"]["command"]
    words = shlex.split(command)
    assert run(*words[words.index("--lr") :]).code == 0
    assert report_of(folders.dest)["settings"] == first["settings"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "remedy"),
    [([], "--partial cut or mask, or --max_difference 0."), (["--min_overlap", 1], "--min_overlap 0.9")],
)
def test_what_lets_a_pair_pass_does(run: Run, folders: Folders, flags: list[object], remedy: str) -> None:
    if flags:
        cv2.imwrite(str(folders.hr / "h0.png"), cv2.imread(str(folders.hr / "h0.png"))[:-20])
    else:
        paste(folders)
    run(*folders.flags, "--report", *flags)
    rejected = Parsed((folders.dest / "report.html").read_bytes()).data["rejected"]
    near = next(image["closest"] for image in rejected if image["name"] == "l0.png")
    assert near["remedy"].startswith(remedy)
    assert run(*folders.flags, "--report", "--overwrite", *flags, *near["remedy"].split()[-2:]).code == 0
    assert "l0.png" in [Path(pair["lr"]).name for pair in report_of(folders.dest)["pairs"]]


@pytest.mark.parametrize("flags", [["--dry"], ["--output", "hr"], ["--output", "lr"]])
def test_what_was_not_written_is_shown_as_it_was_found(run: Run, folders: Folders, flags: list[str]) -> None:
    run(*folders.flags, "--report", *flags)
    path = next(folders.dest.rglob("report.html"))
    for card in Parsed(path.read_bytes()).data["pairs"]:
        assert not card["aligned"]
        assert all((path.parent / unquote(link)).is_file() for link in card["images"])


def test_links_are_found_whatever_the_names_hold(run: Run, folders: Folders) -> None:
    (folders.hr / "h0.png").rename(folders.hr / "a #1 50% ü&+'.png")
    run(*folders.flags, "--report", "--format", "webp")
    for card in Parsed((folders.dest / "report.html").read_bytes()).data["pairs"]:
        assert all(re.fullmatch(r"[\w./~%-]+", link) for link in card["images"])
        assert all((folders.dest / unquote(link)).is_file() for link in card["images"])


def test_gallery_writes_the_page_anew(run: Run, folders: Folders, report: dict[str, Any]) -> None:
    before = (folders.dest / "report.html").read_bytes()
    moved = folders.dest.rename(folders.dest.with_name("moved"))
    (moved / "report.html").unlink()
    outcome = run("gallery", moved / "report.json")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{moved / 'report.html'}\n", "")
    after = Parsed((moved / "report.html").read_bytes()).data
    assert after == Parsed(before).data
    assert all((moved / unquote(link)).is_file() for card in after["pairs"] for link in card["images"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ('{"pairs": []}', "damaged"),
        ('{"schema_version": 4, "pairs": 3}', "damaged"),
        ('{"schema_version": 1}', "version 1"),
    ],
)
def test_gallery_refuses_what_is_no_report(run: Run, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "report.json").write_text(text)
    refused(run("gallery", tmp_path / "report.json"), 2, "report.json", words)
    refused(run("gallery", tmp_path / "none.json"), 2, "none.json", "can't be read")
    refused(run("gallery"), 2, "REPORT")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
