"""A review in a browser: its keys and buttons, what they leave on disk, and that the page stays by itself."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("the browser is spoken to through pipes of POSIX", allow_module_level=True)

from tests.support.browser import PROGRAM, Browser, choose
from tests.support.client import Tab, served
from tests.support.command import Run
from tests.support.folders import Folders, paste
from tests.support.report import hr_names, report_of

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PROGRAM, reason="there is no Chromium")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def tab(run: Run, folders: Folders, browser: Browser) -> Iterator[Tab]:
    """A review of two pairs, shown in the browser."""
    (folders.hr / "left.png").write_bytes((folders.lr / "l1.png").read_bytes())
    run(*folders.flags, "--report", "--min_native_scale", 1)
    with served(folders.dest / "report.json") as tab:
        browser.events.clear()
        browser.show(tab.server.address)
        yield tab
        browser.call("Page.navigate", url="about:blank")


def evaluations(browser: Browser) -> list[str]:
    return browser.run("[...document.querySelectorAll('.card')].map(card => card.dataset.verdict)")


def wait_for(browser: Browser, *expected: str) -> None:
    shown = "[...document.querySelectorAll('.card')].map(card => card.dataset.verdict)"
    browser.wait(f"{shown}.join() === {json.dumps(','.join(expected))}")


def accepted(folders: Folders) -> list[bool]:
    return [bool(pair["accepted"]) for pair in report_of(folders.dest)["pairs"]]


def test_keys_decide_in_the_grid(tab: Tab, browser: Browser, folders: Folders) -> None:
    both = hr_names(folders.dest)
    browser.run("document.querySelector('.open').focus()")
    browser.press("a")
    wait_for(browser, "accepted", "undecided")
    assert accepted(folders) == [True, False]
    browser.press("ArrowRight")
    browser.press("Delete")
    wait_for(browser, "accepted", "deleted")
    assert hr_names(folders.dest) == both[:1]
    assert not (folders.dest / "HR" / both[1]).exists()
    browser.press("u")
    wait_for(browser, "accepted", "undecided")
    assert hr_names(folders.dest) == both
    assert (folders.dest / "HR" / both[1]).exists()
    browser.wait("document.activeElement.dataset.number === '1'")
    browser.press("ArrowLeft")
    browser.press("a")
    wait_for(browser, "undecided", "undecided")
    assert accepted(folders) == [False, False]
    assert browser.complaints == []
    assert all(url.startswith((tab.server.address, "data:,")) for url in browser.requests)


def test_all_up_to_a_pair_are_accepted_at_once_and_not_after_all(tab: Tab, browser: Browser, folders: Folders) -> None:
    choose(browser, "order", "Name")
    browser.press("r")
    browser.press("ArrowRight")
    browser.press("ArrowRight")
    browser.press("t")
    browser.wait("document.getElementById('grouping').open")
    assert "(Name, reversed): 2 undecided pairs." in browser.run("document.getElementById('grouping-what').textContent")
    browser.press("Enter")
    wait_for(browser, "accepted", "accepted")
    assert accepted(folders) == [True, True]
    browser.click("#undo")
    wait_for(browser, "undecided", "undecided")
    assert accepted(folders) == [False, False]
    browser.press("ArrowLeft")
    browser.press("Enter")
    browser.click("#deciding [data-decide=group]")
    browser.click("#accept-group")
    browser.wait("document.getElementById('verdict').textContent === 'accepted'")
    assert sorted(accepted(folders)) == [False, True]
    browser.press("u")
    browser.wait("document.getElementById('verdict').textContent === 'undecided'")
    browser.press("Escape")
    browser.press("r")
    assert browser.complaints == []


@pytest.mark.parametrize("size", [(1280, 720), (390, 844)])
def test_what_ends_and_undoes_is_always_in_sight(tab: Tab, browser: Browser, size: tuple[int, int]) -> None:
    def in_sight(selector: str) -> bool:
        return browser.run(
            f"(b => b.top >= 0 && b.bottom <= innerHeight && b.right <= innerWidth && b.height > 0)"
            f"(document.querySelector('{selector}').getBoundingClientRect())"
        )

    browser.resize(*size, phone=size[0] < 500)
    try:
        browser.run("document.getElementById('list').style.minHeight = '5000px'; scrollTo(0, 2000)")
        assert all(map(in_sight, ("#done", "#undo", "#tally")))
        browser.run("scrollTo(0, 0); open(0)")
        assert all(map(in_sight, ("#done", "#undo", "#tally", "#close", "#deciding")))
        browser.press("q")
        browser.wait("!!document.querySelector('#tools #review')")
        assert in_sight("#done")
    finally:
        browser.resize(1280, 800)


def test_keys_decide_in_the_large_view(tab: Tab, browser: Browser, folders: Folders) -> None:
    both = hr_names(folders.dest)
    place = "document.getElementById('place').textContent"
    browser.run("document.querySelector('.open').focus()")
    browser.press("Enter")
    browser.wait("document.getElementById('viewer').open")
    browser.press("x")
    browser.wait(f"{place} === '2 / 2'")
    assert hr_names(folders.dest) == both[1:]
    browser.press("a")
    browser.wait("document.getElementById('verdict').textContent === 'accepted'")
    assert accepted(folders) == [True]
    browser.press("u")
    browser.wait(f"{place} === '1 / 2'")
    assert hr_names(folders.dest) == both
    browser.wait("document.getElementById('high').naturalWidth > 0")
    browser.press("Backspace")
    browser.wait(f"{place} === '2 / 2'")
    browser.press("ArrowLeft")
    browser.wait("document.getElementById('verdict').textContent === 'deleted'")
    browser.wait("document.getElementById('high').complete && document.getElementById('high').naturalWidth > 0")
    browser.click("#deciding [data-decide=undo]")
    browser.wait("document.getElementById('verdict').textContent === 'undecided'")
    browser.click("#deciding [data-decide=delete]")
    browser.wait(f"{place} === '2 / 2'")
    assert hr_names(folders.dest) == both[1:]
    assert browser.complaints == []


def test_clicks_decide_and_done_ends_it(tab: Tab, browser: Browser, folders: Folders) -> None:
    both = hr_names(folders.dest)
    browser.click(".card:nth-child(2) [data-decide=accept]")
    wait_for(browser, "undecided", "accepted")
    browser.click(".card [data-decide=delete]")
    wait_for(browser, "deleted", "accepted")
    assert hr_names(folders.dest) == both[1:]
    browser.click("#undo")
    wait_for(browser, "undecided", "accepted")
    browser.click(".card [data-decide=delete]")
    wait_for(browser, "deleted", "accepted")
    assert browser.run("document.getElementById('tally').textContent") == "1 accepted · 1 deleted · 0 undecided"
    browser.click("#done")
    browser.press("u")  # a key of the page behind
    said = browser.run("document.getElementById('ending-what').textContent")
    assert f"1 deleted pair: 2 files in {folders.dest} will be erased for good." in said
    assert f"originals in {folders.lr} and {folders.hr} are not touched" in said
    assert browser.run("document.getElementById('end').textContent") == "End, and erase 2 files"
    browser.click("#go-on")
    browser.click("#done")
    browser.click("#end")
    browser.wait("document.getElementById('review').textContent.includes('has ended')")
    assert browser.run("getComputedStyle(document.querySelector('.decide')).display") == "none"
    assert browser.complaints == []
    assert hr_names(folders.dest) == both[1:]


def test_enter_presses_the_button_that_stands_out_and_erases_nothing(
    tab: Tab, browser: Browser, folders: Folders
) -> None:
    stands_out = "[...document.querySelectorAll('#ending .primary')].map(button => button.id).join()"
    both = hr_names(folders.dest)
    browser.click(".card [data-decide=delete]")
    wait_for(browser, "deleted", "undecided")
    browser.run("document.getElementById('done').focus()")
    browser.press("Enter")
    browser.wait("document.getElementById('ending').open")
    assert browser.run(stands_out) == browser.run("document.activeElement.id") == "go-on"
    browser.press("Enter")
    browser.wait("!document.getElementById('ending').open")
    browser.press("u")
    wait_for(browser, "undecided", "undecided")
    browser.click("#done")
    assert browser.run(stands_out) == browser.run("document.activeElement.id") == "end"
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r", autoRepeat=True)
    assert browser.run("document.getElementById('ending').open")
    browser.press("Enter")
    browser.wait("document.getElementById('review').textContent.includes('has ended')")
    assert hr_names(folders.dest) == both


def test_what_was_decided_can_be_chosen(tab: Tab, browser: Browser) -> None:
    browser.click(".card [data-decide=delete]")
    wait_for(browser, "deleted", "undecided")
    choose(browser, "filter", "deleted (1)")
    assert evaluations(browser) == ["deleted"]
    browser.press("u")
    wait_for(browser, "undecided")
    choose(browser, "filter", "undecided (2)")
    assert evaluations(browser) == ["undecided", "undecided"]


def test_a_decision_in_another_tab_is_shown(tab: Tab, browser: Browser) -> None:
    assert tab.decide("delete", pair=0)[0] == 200
    browser.click(".card [data-decide=delete]")
    wait_for(browser, "deleted", "undecided")
    assert browser.run("document.getElementById('problem').textContent") == "that pair was deleted meanwhile"
    assert tab.decide("accept", pair=1, accepted=True)[0] == 200
    browser.run("document.dispatchEvent(new Event('visibilitychange'))")
    wait_for(browser, "deleted", "accepted")
    assert browser.run("document.getElementById('problem').hidden")


def test_the_end_of_a_review_is_shown(tab: Tab, browser: Browser, folders: Folders) -> None:
    tab.server.shutdown()
    tab.server.server_close()
    browser.run("document.querySelector('.open').focus()")
    browser.press("Enter")
    browser.press("x")
    browser.wait("document.querySelector('#viewer #problem')?.textContent.includes('ended')")
    assert len(hr_names(folders.dest)) == 2


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_nothing_is_wider_than_the_window(tab: Tab, browser: Browser, size: tuple[int, int]) -> None:
    browser.resize(*size, phone=size[0] < 500)
    try:
        for fragment in ("", "#rejected", "#pair-1"):
            browser.call("Page.navigate", url="about:blank")
            browser.show(tab.server.address + fragment)
            assert browser.run("document.documentElement.scrollWidth") <= size[0]
            assert browser.run("document.getElementById('controls').scrollWidth") <= size[0]
        assert browser.run("document.getElementById('stage').clientHeight") > size[1] / 4
    finally:
        browser.resize(1280, 800)


def test_the_page_is_in_nobodys_frame(tab: Tab, browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "evil.html").write_text(f"""<iframe src="{tab.server.address}"></iframe>
        <img src="{tab.server.address}image/0" onerror="window.failed = true">
        <form action="{tab.server.address}delete" method="post" enctype="text/plain">
        <input name='{{"pair":0,"x":"' value='"}}'></form>
        <script>fetch("{tab.server.address}decisions").catch(() => {{ window.refused = true; }})</script>""")
    browser.call("Page.navigate", url="about:blank")
    browser.show((tmp_path / "evil.html").as_uri())
    browser.wait("window.failed && window.refused")
    assert browser.run("frames[0].length === 0 && !document.querySelector('iframe').contentDocument")
    browser.run("document.querySelector('form').submit()")
    browser.wait("document.body.textContent.includes('another page asks')")
    assert tab.show()["decisions"]["deleted"] == []


def test_rejected_pairs_are_looked_at_but_not_decided(browser: Browser, run: Run, folders: Folders) -> None:
    paste(folders)
    run(*folders.flags, "--report")
    with served(folders.dest / "report.json") as tab:
        browser.events.clear()
        browser.show(tab.server.address)
        browser.wait("document.querySelectorAll('.card .hatched i').length === 1")
        browser.click("#tab-rejected")
        browser.wait("document.querySelectorAll('.row .hatched i').length === 1")
        browser.click(".row.open")
        browser.wait("document.querySelectorAll('#differs .hatched i').length === 1")
        assert browser.run("document.getElementById('deciding').hidden")
        browser.press("x")
        browser.press("a")
        browser.press("Escape")
        browser.call("Page.navigate", url="about:blank")
    assert browser.complaints == []
    assert accepted(folders) == [False]
