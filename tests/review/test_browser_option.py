"""`review REPORT --browser`, from the command to its last line."""

import _thread
import os
import re
import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.client import Tab
from tests.support.command import Run, refused
from tests.support.folders import Folders, contents
from tests.support.paths import ROOT
from tests.support.report import hr_names, report_of
from twimager.runtime.console import Console


@pytest.fixture
def report(run: Run, folders: Folders) -> Path:
    run(*folders.flags, "--report")
    return folders.dest / "report.json"


def visit(monkeypatch: pytest.MonkeyPatch, do: Callable[[Tab], object]) -> list[str]:
    """Have a browser opened that does something; return the addresses that it is given."""
    seen: list[str] = []

    def opened(address: str) -> bool:
        seen.append(address)
        do(Tab(SimpleNamespace(address=address)))
        return True

    monkeypatch.setattr(webbrowser, "open", opened)
    return seen


def test_done_ends_it_with_a_line(run: Run, report: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    def review(tab: Tab) -> None:
        assert tab.decide("delete", pair=0)[0] == 200
        assert tab.decide("accept", pair=1, accepted=True)[0] == 200
        assert tab.decide("done")[0] == 200

    seen = visit(monkeypatch, review)
    second = hr_names(folders.dest)[1]
    outcome = run("review", report, "--browser")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [*seen, "pairs accepted: 1, deleted: 1, undecided: 0"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{43}/", seen[0])
    assert hr_names(folders.dest) == [second]
    assert {name for name in contents(folders.dest) if name.endswith("png")} == {f"LR/{second}", f"HR/{second}"}
    assert not (folders.dest / ".twimager" / "trash").exists()


def test_ctrl_c_ends_it_as_cleanly(run: Run, report: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    def review(tab: Tab) -> None:
        assert tab.decide("delete", pair=1)[0] == 200
        _thread.interrupt_main()

    visit(monkeypatch, review)
    outcome = run("review", report, "--browser")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[1:] == ["pairs accepted: 0, deleted: 1, undecided: 1"]
    assert len(hr_names(folders.dest)) == 1


def test_without_a_browser_the_address_is_enough(run: Run, report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(webbrowser, "open", seen.append)  # opens nothing, as None tells
    warn = Console.warn

    def warned(console: Console, message: str) -> None:
        warn(console, message)
        assert Tab(SimpleNamespace(address=seen[0])).decide("done")[0] == 200

    monkeypatch.setattr(Console, "warn", warned)
    outcome = run("review", report, "--browser")
    assert outcome.code == 0
    assert "no browser could be opened" in outcome.err


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal as a terminal does")
def test_no_open_prints_the_address_only(report: Path, folders: Folders) -> None:
    command = [sys.executable, str(ROOT / "twimager.py"), "review", str(report), "--browser", "--no_open"]
    blind = {**os.environ, "BROWSER": "false"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=blind) as process:
        assert process.stdout
        address = process.stdout.readline().strip()
        assert Tab(SimpleNamespace(address=address)).decide("delete", pair=0)[0] == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "pairs accepted: 0, deleted: 1, undecided: 1\n", "")
    assert len(report_of(folders.dest)["pairs"]) == 1


def test_the_port_can_be_chosen(run: Run, report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = visit(monkeypatch, lambda tab: tab.decide("done"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(run("review", report, "--browser", "--port", port), 2, f"--port {port}")
    assert run("review", report, "--browser", "--port", port).code == 0
    assert f":{port}/" in seen[0]
    refused(run("review", report, "--browser", "--port", 70000), 2, "--port 70000")
    refused(run("review", report, "--browser", "--port", "x"), 2, "--port")


@pytest.mark.parametrize("flags", [["--port", "1"], ["--no_open"], ["--no-open"]])
def test_what_is_for_the_browser_needs_one(run: Run, report: Path, flags: list[str]) -> None:
    refused(run("review", report, *flags), 2, "--browser")


@pytest.mark.parametrize("flags", [["--scale", "2"], ["--interpolation", "area"]])
def test_what_is_for_the_window_needs_one(run: Run, report: Path, flags: list[str]) -> None:
    refused(run("review", report, "--browser", *flags), 2, flags[0])


def test_a_report_that_points_elsewhere_is_refused(run: Run, report: Path, folders: Folders) -> None:
    text = report.read_text().replace(str(folders.dest / "HR"), str(folders.hr))
    report.write_text(text)
    refused(run("review", report, "--browser"), 2, "report.json", "h0.png")
    assert (folders.hr / "h0.png").exists()
