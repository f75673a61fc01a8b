"""The page of a report in a browser: what it shows, what its keys do, and that it stays by itself."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import cv2
import numpy as np
import pytest

if sys.platform == "win32":
    pytest.skip("the browser is spoken to through pipes of POSIX", allow_module_level=True)

from tests.support.browser import PROGRAM, Browser, choose
from tests.support.command import Run
from tests.support.folders import CAPTION, Folders, make_folders, paste
from tests.support.page import NASTY
from tests.support.report import of_films, report_of, typed
from twimager.cli.main import main
from twimager.report.page import page
from twimager.report.thumbnails import make_thumbnails
from twimager.runtime.console import Console

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PROGRAM, reason="there is no Chromium")]
MANY = 3000


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Two pairs and an image that is in none, and what a run made of them."""
    made = make_folders(tmp_path_factory.mktemp("reported"))
    (made.lr / "l0.png").rename(made.lr / "it's #1 50%.png")
    (made.hr / "left.png").write_bytes((made.lr / "l1.png").read_bytes())
    assert main([*map(str, made.flags), "--report", "--min_native_scale", "1", "--quiet"]) == 0
    return made


@pytest.fixture
def report(folders: Folders) -> dict[str, Any]:
    """The report of the run, and in it a pair made up to be the worst."""
    kept = report_of(folders.dest)
    kept["pairs"].append({**kept["pairs"][0], "residual": 2.0, "coverage": 0.5, "rivals": ["/x.png"]})
    return kept


@pytest.fixture
def shown(browser: Browser, folders: Folders, report: dict[str, Any]) -> Browser:
    show(browser, folders, report)
    return browser


def show(browser: Browser, folders: Folders, report: dict[str, Any], fragment: str = "") -> None:
    path = folders.dest / "shown.html"
    path.write_bytes(page(typed(report), folders.dest, make_thumbnails(1, Console(quiet=True))))
    browser.call("Page.navigate", url="about:blank")
    browser.events.clear()
    browser.show(path.as_uri() + fragment)


def residuals(browser: Browser) -> list[str]:
    return browser.run("[...document.querySelectorAll('.card .numbers')].map(n => n.querySelector('b').textContent)")


def seen(browser: Browser, expression: str) -> Any:
    return browser.run(f"(box => {expression})(document.getElementById('box'))")


def test_sort_filter_and_search(shown: Browser) -> None:
    assert len(residuals(shown)) == 3
    choose(shown, "order", "Residual")
    assert residuals(shown)[0] == "2.00 px"
    shown.press("r")
    assert residuals(shown)[-1] == "2.00 px"
    choose(shown, "filter", "has rivals")
    assert residuals(shown) == ["2.00 px"]
    assert shown.run("document.getElementById('shown').textContent") == "1 of 3 shown"
    choose(shown, "filter", "All pairs")
    shown.press("/")
    for letter in "H1":
        shown.press(letter)
    assert len(residuals(shown)) == 1
    assert shown.run("document.querySelectorAll('figure svg rect').length") == 3 * 32


def test_all_images_are_there_and_nothing_else_is_requested(shown: Browser, folders: Folders) -> None:
    shown.wait("[...document.images].filter(i => i.currentSrc).every(i => i.complete && i.naturalWidth)")
    shown.click("#tab-rejected")
    shown.wait("[...document.querySelectorAll('.row img')].length === 2")
    shown.wait("[...document.querySelectorAll('.row img')].every(i => i.complete && i.naturalWidth)")
    assert shown.complaints == []
    assert len(shown.requests) > 4
    assert all(url.startswith((folders.dest.parent.as_uri(), "data:")) for url in shown.requests)


def test_a_pair_is_looked_at_with_keys(shown: Browser) -> None:
    shown.run("document.querySelector('.open').focus()")
    shown.press("ArrowRight")
    shown.press("Enter")
    shown.wait("document.getElementById('viewer').open && document.getElementById('high').complete")
    assert seen(shown, "document.getElementById('place').textContent") == "2 / 3"
    assert "slider" in seen(shown, "box.className").split()
    for key, face in (("d", "difference"), ("1", "low"), (" ", "high"), (" ", "low"), ("2", "high")):
        shown.press(key)
        assert face in seen(shown, "box.className").split(), key
    shown.press("b")
    first = seen(shown, "box.className")
    shown.wait(f"document.getElementById('box').className !== {json.dumps(first)}")
    fitted = seen(shown, "box.clientWidth")
    shown.press("+")
    assert seen(shown, "box.clientWidth") == pytest.approx(2 * fitted, abs=2)
    shown.press("0")
    assert seen(shown, "box.clientWidth") == fitted
    shown.press("ArrowLeft")
    assert seen(shown, "document.getElementById('place').textContent") == "1 / 3"
    shown.press("Escape")
    shown.wait("document.activeElement.dataset.number === '0'")
    assert shown.complaints == []


def test_the_seam_follows_the_mouse(shown: Browser) -> None:
    shown.click(".card")
    shown.wait("document.getElementById('high').naturalWidth > 0 && document.getElementById('box').clientWidth > 100")
    ratio = "(({ naturalWidth, naturalHeight }) => naturalWidth / naturalHeight)(document.getElementById('high'))"
    fits = f"Math.abs(box.clientWidth / box.clientHeight - {ratio}) < 0.02"
    shown.wait(f"(box => {fits})(document.getElementById('box'))")
    left, width = seen(shown, "[box.getBoundingClientRect().left, box.clientWidth]")
    _, y = shown.middle("#box")
    shown.press("s")
    shown.drag(shown.middle("#box"), (left + width * 0.4, y), (left + width * 0.25, y))
    assert shown.run("Number(document.getElementById('split').value)") == pytest.approx(25, abs=1)
    clip = shown.run("getComputedStyle(document.getElementById('over')).clipPath")
    assert clip == "inset(0px 0px 0px 25%)" or float(clip.split()[-1].rstrip("%)")) == pytest.approx(25, abs=1)
    shown.press("q")


def test_files_of_rejected_images_are_linked_to(shown: Browser, folders: Folders) -> None:
    shown.click("#tab-rejected")
    shown.click(".row.open")
    links = shown.run("[...document.querySelectorAll('#facts a')].map(link => link.href)")
    assert len(links) == 2
    assert all(Path(unquote(urlsplit(link).path)).is_file() for link in links)
    shown.press("q")


def test_what_was_deleted_by_hand_would_pass_with_no_option(
    browser: Browser, folders: Folders, report: dict[str, Any]
) -> None:
    for pair in report["rejected_pairs"]:
        pair.update(reason="skipped by hand", detail="deleted in a review")
    show(browser, folders, report, "#rejected-1")
    browser.wait("document.getElementById('viewer').open")
    facts = browser.run("document.getElementById('facts').textContent")
    assert "skipped by hand: deleted in a review" in facts
    assert "would pass" not in facts
    browser.press("q")


def test_a_rejected_frame_is_seen_by_its_thumbnail_with_its_moment(
    browser: Browser, folders: Folders, report: dict[str, Any]
) -> None:
    for pair in report["rejected_pairs"]:
        for side in ("lr", "hr"):
            pair[f"{side}_frame"] = {"video": f"/films/{side}.mkv", "number": 9, "pts": 1, "seconds": 62.48}
    for image in report["rejected_images"]:
        image["frame"] = {"video": f"/films/{image['side'].lower()}.mkv", "number": 9, "pts": 1, "seconds": 62.48}
    show(browser, folders, report, "#rejected-1")
    browser.wait("document.getElementById('high').naturalWidth > 0")
    assert browser.run("document.querySelectorAll('#facts a').length") == 0
    assert browser.run("document.getElementById('facts').textContent").startswith(
        "momentLR 0:01:02.480 = HR 0:01:02.480"
    )
    assert browser.run("['low', 'high'].every(id => document.getElementById(id).src.startsWith('data:'))")
    assert browser.run("document.getElementById('modes').hidden")
    browser.press("q")
    assert browser.run("document.querySelector('.row .moment').textContent.trim()") == "LR 0:01:02.480 = HR 0:01:02.480"
    assert browser.complaints == []


def test_a_frame_of_which_nothing_is_left_is_not_requested(
    browser: Browser, folders: Folders, report: dict[str, Any]
) -> None:
    gone = {"lr": "/gone/a.png", "hr": "/gone/b.png"}
    moment = {"video": "/films/a.mkv", "number": 9, "pts": 1, "seconds": 62.48}
    report["rejected_pairs"] = [{**report["rejected_pairs"][0], **gone, "lr_frame": moment, "hr_frame": moment}]
    image = {"side": "LR", "path": gone["lr"], "frame": moment}
    report["rejected_images"] = [{**report["rejected_images"][0], **image}]
    show(browser, folders, report, "#rejected-1")
    browser.wait("document.getElementById('box').classList.contains('missing')")
    browser.press("q")
    assert browser.run("document.querySelectorAll('.row .missing').length") == 2
    assert browser.complaints == []


def test_names_are_seen_as_they_are(browser: Browser, folders: Folders, report: dict[str, Any]) -> None:
    report["pairs"][0]["hr_output"] = str(folders.dest / "HR" / NASTY.replace("/", "|"))
    report["rejected_images"][0]["detail"] = NASTY
    browser.run("window.alert = () => { throw new Error('ran') }")
    show(browser, folders, report)
    assert browser.run("document.querySelector('.name').textContent") == NASTY.replace("/", "|")
    browser.click("#tab-rejected")
    assert NASTY in browser.run("document.querySelector('.row .why').textContent")
    assert browser.run("document.querySelectorAll('script').length") == 2
    assert not [params for params in browser.complaints if "ERR_FILE_NOT_FOUND" not in json.dumps(params)]


def test_thousands_of_pairs_are_there_at_once(browser: Browser, folders: Folders, report: dict[str, Any]) -> None:
    plain = report["pairs"][0]
    report["pairs"] = [{**plain, "residual": number / MANY} for number in range(MANY)]
    started = time.monotonic()
    show(browser, folders, report)
    assert residuals(browser)[0] == "0.00 px"
    choose(browser, "order", "Residual")
    assert residuals(browser)[0] == "1.00 px"
    assert time.monotonic() - started < 2
    drawn = len(residuals(browser))
    assert drawn < MANY / 10
    browser.run("scrollTo(0, document.body.scrollHeight)")
    browser.wait(f"document.querySelectorAll('.card').length > {drawn}")
    browser.run("scrollTo(0, 0)")


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_nothing_is_wider_than_the_window(
    browser: Browser, folders: Folders, report: dict[str, Any], size: tuple[int, int]
) -> None:
    browser.resize(*size, phone=size[0] < 500)
    try:
        for fragment in ("", "#rejected", "#pair-1"):
            show(browser, folders, report, fragment)
            assert browser.run("document.documentElement.scrollWidth") <= size[0]
            assert browser.run("document.getElementById('controls').scrollWidth") <= size[0]
        assert browser.run("document.getElementById('stage').clientHeight") > size[1] / 4
    finally:
        browser.resize(1280, 800)


def test_the_page_is_dark_where_that_is_preferred(shown: Browser) -> None:
    def brightness() -> int:
        rgb = shown.run("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in rgb.removeprefix("rgb(").rstrip(")").split(","))

    shown.dark(False)
    light = brightness()
    shown.dark()
    assert brightness() < 200
    assert light > 600
    shown.dark(False)


def test_a_link_leads_to_a_pair(browser: Browser, folders: Folders, report: dict[str, Any]) -> None:
    show(browser, folders, report, "#pair-3")
    assert browser.run("document.getElementById('place').textContent") == "3 / 3"
    assert Path(report["pairs"][2]["hr_output"]).name == browser.run("document.getElementById('name').textContent")


@pytest.fixture
def differing(request: pytest.FixtureRequest, browser: Browser, run: Run, tmp_path: Path) -> Browser:
    """The page of a pair with a logo, and of one that was rejected for a caption; a parameter enlarges all images."""
    folders = make_folders(tmp_path)
    paste(folders)
    if factor := getattr(request, "param", 0):
        for file in (*folders.lr.iterdir(), *folders.hr.iterdir()):
            cv2.imwrite(str(file), cv2.resize(cv2.imread(str(file)), None, fx=factor, fy=factor))
    run(*folders.flags, "--report")
    browser.call("Page.navigate", url="about:blank")
    browser.events.clear()
    browser.show((folders.dest / "report.html").as_uri())
    return browser


def edges(browser: Browser, selector: str) -> list[float]:
    box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
    return browser.run(f"(b => [b.left, b.top, b.right, b.bottom])({box})")


def changed_by_hatching(browser: Browser, selector: str, folder: Path) -> list[float]:
    """Where the hatching of a picture of an LR is seen, in shares of the LR: left, top, right, bottom."""
    shots = []
    for name in ("hatched.png", "plain.png"):
        browser.screenshot(folder / name)
        shots.append(cv2.imread(str(folder / name)).astype(int))
        browser.press("h")
    left, top, right, bottom = edges(browser, selector)
    y, x = np.nonzero(np.abs(shots[0] - shots[1]).max(axis=2)[int(top) : int(bottom), int(left) : int(right)] > 20)
    size = min(right - left, (bottom - top) * 1.5)  # of the LR, 3:2, as it fits into the picture
    around = [(right - left - size) / 2, (bottom - top - size / 1.5) / 2]
    return [
        (place - start) / length
        for place, start, length in zip(
            (x.min(), y.min(), x.max() + 1, y.max() + 1), around * 2, [size, size / 1.5] * 2, strict=True
        )
    ]


# The larger LR has a thumbnail that is smaller than itself.
@pytest.mark.parametrize("differing", [0, 3], indirect=True)
def test_what_differs_is_hatched_where_it_is(differing: Browser, tmp_path: Path) -> None:
    differing.click("#tab-rejected")
    row = ".row .picture:has(.hatched)"
    differing.wait("document.querySelectorAll('.row .hatched i').length === 1")
    differing.wait("[...document.querySelectorAll('.row img')].every(i => i.complete)")
    corners = CAPTION.x, CAPTION.y, CAPTION.x + CAPTION.width, CAPTION.y + CAPTION.height
    expected = np.array(corners) / (150, 100, 150, 100)
    assert changed_by_hatching(differing, row, tmp_path) == pytest.approx(expected, abs=0.05)
    differing.click(row)
    differing.wait("document.querySelectorAll('#differs .hatched i').length === 1")
    differing.wait("document.getElementById('high').complete")
    assert changed_by_hatching(differing, "#low", tmp_path) == pytest.approx(expected, abs=0.05)
    facts = differing.run("document.getElementById('facts').textContent")
    assert "part of the LR shows something else" in facts
    differing.press("Escape")
    assert differing.complaints == []


def test_a_near_miss_is_laid_over_its_lr_and_says_what_lets_it_pass(differing: Browser) -> None:
    differing.click("#tab-rejected")
    names = "[...document.querySelectorAll('.row.open .mine')].map(name => name.textContent)"
    assert differing.run(names) == ["LR l0.png"]
    assert differing.run("document.getElementById('fold').textContent") == "▸ Show the HR that is in no pair"
    assert "1 pair written of 2 LRs and 2 HRs" in differing.run("document.getElementById('run-what').textContent")
    differing.click("#fold")
    assert differing.run(names) == ["LR l0.png", "HR h0.png"]
    differing.click("#fold")
    differing.press("ArrowDown")
    differing.press("Enter")
    differing.wait("document.getElementById('high').naturalWidth && document.getElementById('low').naturalWidth")
    differing.wait("!!document.getElementById('high').style.transform")
    assert edges(differing, "#high") == pytest.approx(edges(differing, "#low"), abs=4)  # of the same frame
    facts = differing.run("document.getElementById('facts').textContent")
    assert "with --partial cut or mask, or --max_difference 0." in facts
    assert "at least 30 %, --min_overlap" in facts
    assert facts.count("contradicted") == 1
    differing.press("d")
    assert "difference" in seen(differing, "box.className").split()
    differing.press("s")
    differing.press("q")
    assert differing.complaints == []


def test_the_grid_shows_thumbnails_and_what_came_of_the_run(shown: Browser, folders: Folders) -> None:
    assert shown.run("[...document.querySelectorAll('.card img')].every(i => i.src.startsWith('data:image/jpeg'))")
    assert shown.run("document.querySelector('.card .tag').textContent") == "HR"
    assert shown.run("document.getElementById('run-what').textContent").startswith("3 pairs written of 2 LRs and 3 HRs")
    assert f"--lr {folders.lr} --hr {folders.hr}" in shown.run("document.getElementById('command').textContent")
    assert shown.run("[...document.querySelectorAll('#run-how a')].map(a => a.textContent)") == [
        "report.json",
        "pairs.csv",
    ]


def test_keys_are_told_and_lead_from_card_to_card(shown: Browser) -> None:
    shown.press("?")
    shown.wait("document.getElementById('keys').open")
    shown.press("Escape")
    shown.press("ArrowRight")
    assert shown.run("document.activeElement.dataset.number") == "0"
    shown.press("o")
    assert residuals(shown)[0] == "2.00 px"
    shown.press("ArrowRight")
    shown.press("Enter")
    shown.wait("document.getElementById('high').naturalWidth > 0")
    shown.click("#whole")
    assert seen(shown, "box.clientWidth === document.getElementById('high').naturalWidth")
    shown.click("#fit")
    assert shown.run("document.getElementById('fit').getAttribute('aria-pressed')") == "true"
    assert shown.run("document.querySelectorAll('#facts a').length") == 4  # to the sources, and to what was written
    shown.press("q")


def test_pairs_are_sorted_and_chosen_by_what_differs(differing: Browser) -> None:
    choose(differing, "order", "Different")
    choose(differing, "filter", "differs in part (1)")
    assert differing.run("document.querySelector('.card .numbers .differs').textContent").startswith("different 3.")
    title = differing.run("document.querySelector('.card .shares').title")
    assert [part.split()[-1] for part in title.split(", ")] == ["agreed", "different", "unjudged"]
    differing.wait("document.querySelectorAll('.card .hatched i').length === 1")
    differing.press("h")
    assert differing.run("getComputedStyle(document.querySelector('.hatched')).display") == "none"
    assert differing.run("document.querySelector('.hatches').getAttribute('aria-pressed')") == "false"
    differing.click("#tools .hatches")
    assert differing.run("getComputedStyle(document.querySelector('.hatched')).display") != "none"
    differing.click(".card")
    differing.wait("document.getElementById('high').naturalWidth && document.getElementById('low').naturalWidth")
    differing.wait("document.querySelectorAll('#differs .hatched i').length === 1")
    layer, box = edges(differing, "#differs .hatched"), edges(differing, "#box")
    assert layer == pytest.approx(box, abs=1)
    differing.press("d")
    assert differing.run("getComputedStyle(document.getElementById('differs')).display") == "none"
    differing.press("q")


def test_without_differences_nothing_is_offered(shown: Browser) -> None:
    assert shown.run("[...document.querySelectorAll('.hatches')].every(button => button.hidden)")


@pytest.fixture
def filmed(browser: Browser, folders: Folders, report: dict[str, Any]) -> Browser:
    """The page of three pairs of frames, each of a segment of its own."""
    show(browser, folders, of_films(report))
    return browser


SEGMENTS = "[...document.querySelectorAll('.timeline .segment')]"


def moments(browser: Browser) -> list[str]:
    return browser.run("[...document.querySelectorAll('.card .moment')].map(m => m.textContent.split(' ')[1])")


def test_a_click_on_a_segment_shows_its_pairs_alone(filmed: Browser) -> None:
    everything = ["0:01:02.480", "0:01:12.480", "0:01:22.480"]
    assert moments(filmed) == everything
    filmed.wait(f"{SEGMENTS}.every(segment => segment.querySelectorAll('rect').length === 2)")
    filmed.click(".segment[data-key='0,1'] rect")
    assert moments(filmed) == everything[1:2]
    assert filmed.run(f"{SEGMENTS}.map(segment => segment.getAttribute('aria-pressed'))") == ["false", "true", "false"]
    told = filmed.run("document.querySelector('.told').textContent")
    assert all(words in told for words in ("Segment 2 of 3", "0:01:10.480", "offset +0.976 s", "1.04271", "1 pair"))
    filmed.click(".segment[data-key='0,1'] rect")
    assert moments(filmed) == everything
    filmed.click(".segment[data-key='0,2'] rect")
    filmed.click("#segment")
    assert moments(filmed) == everything
    assert filmed.run("document.querySelector('.told').textContent").startswith("Point at a segment")
    filmed.run("document.querySelector('.open').focus()")
    filmed.press("Enter")
    filmed.wait("document.getElementById('viewer').open")
    assert filmed.run("document.querySelector('#facts dd').textContent.trim()") == "LR 0:01:02.480 = HR 0:01:23.456"
    filmed.press("q")
    assert filmed.complaints == []


def test_a_timeline_is_used_with_keys(filmed: Browser) -> None:
    assert filmed.run(f"{SEGMENTS}.filter(segment => segment.tabIndex === 0).length") == 1
    filmed.run("document.querySelector('.segment').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "Enter"):
        filmed.press(key)
    assert filmed.run("document.activeElement.dataset.key") == "0,1"
    assert moments(filmed) == ["0:01:12.480"]
    filmed.resize(390, 844, phone=True)
    widths = "[document.querySelector('.timeline svg').clientWidth, document.querySelector('.timeline').clientWidth]"
    filmed.wait(f"(([inner, outer]) => inner < outer && outer < 390)({widths})")
    assert filmed.run("document.activeElement.dataset.key") == "0,1"
    assert filmed.run(
        "(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(document.querySelector('.moment'))"
    )
    filmed.resize(1280, 800)
    filmed.press("Escape")
    assert len(moments(filmed)) == 3


def test_without_videos_there_is_no_timeline(shown: Browser) -> None:
    assert shown.run("document.getElementById('films').hidden && document.getElementById('segment').hidden")
    assert shown.run("document.querySelectorAll('.timeline, .moment').length") == 0
