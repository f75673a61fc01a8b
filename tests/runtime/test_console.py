"""Bars and messages on stderr."""

import io

import pytest

from twimager.runtime.console import Console


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


@pytest.mark.parametrize(("quiet", "stream"), [(False, io.StringIO()), (True, Terminal())])
def test_no_bar_is_drawn_where_nobody_sees_it(quiet: bool, stream: io.StringIO) -> None:
    seconds = dict[str, float]()
    assert shown(Console(quiet, stream=stream), seconds) == [1, 2, 3]
    assert stream.getvalue() == ""
    assert set(seconds) == {"reading"}
