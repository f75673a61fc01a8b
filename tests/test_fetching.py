"""Queries that are addresses: what is fetched, what is refused, and that one line says why."""

import json
from collections.abc import Iterator

import pytest
from conftest import Run
from pictures import EXAMPLES
from web import HUGE, web

from twimager.search import fetching

HR = EXAMPLES / "HR"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with web() as (at, _):
        yield at


@pytest.mark.parametrize("path", ["/image", "/moved"])
def test_a_picture_is_found_by_its_address(run: Run, address: str, path: str) -> None:
    outcome = run("search", address + path, "--in", HR, "--json")
    assert outcome.code == 0
    (query,) = json.loads(outcome.out)["queries"]
    assert query["query"] == address + path
    assert query["found"][0]["path"].endswith("P1040518.jpg")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/page", "a web page, not an image"),
        ("/nothing", "404 Not Found"),
        ("/huge", f"{HUGE} bytes, and at most {fetching.MOST_BYTES} are fetched"),
        ("/short", "stopped in the midst"),
        ("/damaged", "a damaged one"),
        ("/to_file", "a redirect leads to file:, and only http: and https: are followed"),
        ("/to_ftp", "a redirect leads to ftp:"),
        ("/round", "more than 5 redirects"),
    ],
)
def test_what_is_no_image_is_named_and_the_others_are_found(run: Run, address: str, path: str, words: str) -> None:
    outcome = run("search", address + path, EXAMPLES / "LR/still_07.jpg", "--in", HR, "--top", 1)
    assert outcome.code == 3
    assert outcome.err.startswith(f"{address}{path}: ")
    assert words in outcome.err
    assert outcome.err.count("\n") == 1
    assert f"could not be read: {outcome.err.split(': ', 1)[1].strip()}" in outcome.out
    assert "P1040518.jpg" in outcome.out


@pytest.mark.parametrize("query", ["file:///etc/passwd", "ftp://localhost/a.png", "data://image/png,", "http://["])
def test_other_addresses_are_not_followed(run: Run, query: str) -> None:
    outcome = run("search", query, "--in", HR)
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
    assert query in outcome.err


def test_nobody_there_is_said_so(run: Run) -> None:
    outcome = run("search", "http://127.0.0.1:1/a.png", "--in", HR)
    assert outcome.code == 3
    assert "can't be fetched" in outcome.err


def test_what_never_ends_is_cut_off(run: Run, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching.fetch, "__defaults__", (0.5, 1_000_000))
    assert "takes longer than 0.5 s" in run("search", f"{address}/slow", "--in", HR).err
    assert "more than 1000000 bytes" in run("search", f"{address}/endless", "--in", HR).err


def test_no_redirect_leads_from_the_web_into_this_network(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    with web() as (address, asked):
        outside = iter([True, False])
        monkeypatch.setattr(fetching, "is_public", lambda peer: next(outside))
        outcome = run("search", f"{address}/moved", "--in", HR)
        assert outcome.code == 3
        assert "a redirect leads from the web into this machine or its network" in outcome.err
        assert asked == ["/moved"]


@pytest.mark.parametrize(
    ("peer", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1::1", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("169.254.169.254", False), ("::1", False), ("fe80::1%eth0", False), ("::ffff:127.0.0.1", False),
        ("0.0.0.0", False),
    ],
)  # fmt: skip
def test_it_is_known_which_addresses_are_public(peer: str, public: bool) -> None:
    assert fetching.is_public(peer) is public
