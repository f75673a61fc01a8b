"""Bars and messages on stderr."""

import io
from itertools import pairwise

import pytest

from twimager.runtime.console import Console, counted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(console: Console, seconds: dict[str, float]) -> list[int]:
    with console.progress(2, seconds) as progress:
        progress.expect(1)
        with progress.stage("reading"):
            return list(progress.counted([1, 2, 3]))


def test_a_terminal_shows_the_stage() -> None:
    stream, seconds = Terminal(), dict[str, float]()
    assert shown(Console(stream=stream), seconds) == [1, 2, 3]
    assert "reading" in stream.getvalue()
    assert set(seconds) == {"reading"}


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("twimager.runtime.console.time.monotonic", lambda: now[0])
    monkeypatch.setattr("twimager.runtime.console.time.perf_counter", lambda: now[0])
    stream = io.StringIO()
    with Console(stream=stream).progress(240) as progress, progress.stage("matching"):
        for _ in progress.counted(range(120), work=2):
            now[0] += 1
    lines = stream.getvalue().splitlines()
    assert lines[0] == "matching: 9 % of all, 1.1 images/s, 1:39 left"
    assert len(lines) == 4
    assert lines[-1].endswith("1.0 images/s, 0:19 left")


def test_work_that_is_foreseen_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("twimager.runtime.console.time.monotonic", lambda: now[0])
    monkeypatch.setattr("twimager.runtime.console.time.perf_counter", lambda: now[0])
    monkeypatch.setattr("twimager.runtime.console.LINE", 0.0)
    stream = io.StringIO()
    with Console(stream=stream).progress(100) as progress, progress.stage("matching"):
        for number in progress.counted(range(100)):
            if number < 50:
                progress.foresee(25)
            if number == 50:
                progress.expect(25)
            now[0] += 1
    clocks = [line.split()[-2].split(":") for line in stream.getvalue().splitlines()]
    lefts = [60 * int(minutes) + int(seconds) for minutes, seconds in clocks]
    assert lefts[0] > 100
    assert lefts[-1] == 25
    assert all(0 <= before - after <= 2 for before, after in pairwise(lefts))


@pytest.mark.parametrize(("quiet", "stream"), [(False, io.StringIO()), (True, Terminal())])
def test_no_bar_is_drawn_where_nobody_sees_it(quiet: bool, stream: io.StringIO) -> None:
    seconds = dict[str, float]()
    assert shown(Console(quiet, stream=stream), seconds) == [1, 2, 3]
    assert stream.getvalue() == ""
    assert set(seconds) == {"reading"}


@pytest.mark.parametrize(
    ("terminal", "environment", "coloured"),
    [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False)],
)
def test_warnings_are_coloured_on_terminals_that_may_be(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, environment: dict[str, str], coloured: bool
) -> None:
    for name, value in ({"NO_COLOR": "", "TERM": "xterm", "WT_SESSION": "1"} | environment).items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    Console(stream=stream).warn("words")
    assert stream.getvalue() == ("\x1b[33mwords\x1b[0m\n" if coloured else "words\n")


def test_one_of_what_is_counted_is_no_more_than_one() -> None:
    assert [counted(number, "segment") for number in (0, 1, 2)] == ["0 segments", "1 segment", "2 segments"]
    assert [counted(number, "match agrees", "matches agree") for number in (1, 2)] == [
        "1 match agrees",
        "2 matches agree",
    ]
