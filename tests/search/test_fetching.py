"""Queries that are addresses: what is fetched, what is refused, and the line that gives the reason."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from typing import Any

import pytest

from tests.support.command import Run
from tests.support.paths import EXAMPLES
from tests.support.web import HUGE, IMAGE, proxy, web
from twimager.errors import UnreadableImage
from twimager.search import addresses, connections, download

HR = EXAMPLES / "HR"
PUBLIC, PRIVATE = "http://93.184.216.34/", "http://10.1.2.3/"
NAMES = {
    "outside.example": ["93.184.216.34", "2606:2800:220:1::1"],
    "inside.example": ["10.1.2.3"],
    "both.example": ["93.184.216.34", "127.0.0.1"],
    "localhost": ["127.0.0.1"],
}
Proxied = Callable[[Mapping[str, str]], AbstractContextManager[list[str]]]


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
        ("/huge", f"{HUGE} bytes, and at most {download.MOST_BYTES} are fetched"),
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


def test_what_never_ends_is_cut_off(address: str) -> None:
    with pytest.raises(UnreadableImage, match=r"takes longer than 0\.5 s"):
        download.fetch(f"{address}/slow", timeout=0.5)
    with pytest.raises(UnreadableImage, match="more than 1000000 bytes"):
        download.fetch(f"{address}/endless", most_bytes=1_000_000)


def test_no_redirect_leads_from_the_web_into_this_network(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    with web() as (address, requested):
        outside = iter([True, False])
        monkeypatch.setattr(connections, "is_public", lambda peer: next(outside))
        outcome = run("search", f"{address}/moved", "--in", HR)
        assert outcome.code == 3
        assert "a redirect leads from the web into this machine or its network" in outcome.err
        assert requested == ["/moved"]


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Proxied:
    """Have all requests sent to a proxy, which redirects some; what was requested is yielded."""
    real = socket.getaddrinfo

    def look_up(host: str, *args: Any, **settings: Any) -> list[Any]:
        if host in NAMES:
            return [(None, None, None, "", (address, 0)) for address in NAMES[host]]
        return real(host, *args, **{**settings, "flags": socket.AI_NUMERICHOST})

    @contextmanager
    def begin(redirects: Mapping[str, str]) -> Iterator[list[str]]:
        with proxy(redirects) as (address, requested):
            for scheme in ("http", "https"):
                monkeypatch.setenv(f"{scheme}_proxy", address)
            monkeypatch.setenv("no_proxy", "")
            monkeypatch.setattr(socket, "getaddrinfo", look_up)
            yield requested

    return begin


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/", "https://127.0.0.1/", "http://127.0.0.1:8080/", "http://10.1.2.3/", "http://0.0.0.0/",
        "http://169.254.169.254/", "//127.0.0.1/", "http://127.0.0.1./", "http://2130706433/", "http://0x7f.1/",
        "http://127.1/", "http://0177.0.0.1/", "http://010.1.2.3/", "http://%31%32%37.0.0.1/", "http://user@127.0.0.1/",
        "http://93.184.216.34@127.0.0.1/", "http://127.0.0.1\\@93.184.216.34/", "http://127\u30020\u30020\u30021/",
        "http://\uff11\uff12\uff17.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/", "http://[fec0::1]/", "http://[fe80::1%25eth0]/", "http://localhost/",
        "https://LOCALHOST./", "http://localhost../", "http://inside.example/", "https://both.example/",
        "http://elsewhere.example/",
    ],
)  # fmt: skip
def test_through_a_proxy_no_redirect_leads_into_this_network(proxied: Proxied, target: str) -> None:
    for start in (PUBLIC, "http://unknown.example/", "http://both.example/"):
        with proxied({start: target}) as requested:
            with pytest.raises(UnreadableImage, match=r"^a redirect leads .* not followed$"):
                download.fetch(start)
            assert requested == [start]


@pytest.mark.parametrize(
    "way",
    [
        [PUBLIC, "http://93.184.216.35/b"], [PUBLIC, "http://Outside.example.:8080/"],
        [PUBLIC, "http://[2606:2800:220:1::1]/"], [PUBLIC, "http://[2002:808:808::]/"],
        [PRIVATE, "http://127.0.0.1/"], ["http://localhost/", PRIVATE, PUBLIC], ["http://unknown.example/", PUBLIC],
        ["http://unknown.example/", "http://unknown.example/b"],
    ],
)  # fmt: skip
def test_through_a_proxy_other_redirects_are_followed(proxied: Proxied, way: list[str]) -> None:
    with proxied(dict(pairwise(way))) as requested:
        assert download.fetch(way[0]) == IMAGE.read_bytes()
        assert requested == way


def test_a_host_that_is_unknown_here_may_send_to_itself_only(proxied: Proxied) -> None:
    start = "http://unknown.example/"
    for target in ("http://unknown.example:22/", "http://127.0.0.1\\@unknown.example/", "http://other.example/"):
        with proxied({start: target}) as requested:
            with pytest.raises(UnreadableImage, match="can't be looked up"):
                download.fetch(start)
            assert requested == [start]
    with proxied({start: "/b"}) as requested:
        assert download.fetch(start) == IMAGE.read_bytes()
        assert requested == [start, f"{start}b"]


def test_one_who_was_sent_to_the_web_is_not_sent_back(proxied: Proxied) -> None:
    with proxied({PRIVATE: PUBLIC, PUBLIC: f"{PRIVATE}c"}) as requested:
        with pytest.raises(UnreadableImage, match="from the web into this machine"):
            download.fetch(PRIVATE)
        assert requested == [PRIVATE, PUBLIC]


def test_a_redirect_that_no_proxy_takes_is_checked_by_its_target(
    proxied: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web() as (address, seen), proxied({PUBLIC: f"{address}/image"}):
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with pytest.raises(UnreadableImage, match="from the web into this machine"):
            download.fetch(PUBLIC)
        assert seen == []


def test_what_comes_with_a_redirect_is_not_read(address: str) -> None:
    assert download.fetch(f"{address}/long") == IMAGE.read_bytes()


@pytest.mark.parametrize(
    "peer",
    [
        "93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808",
        "64:ff9b:1::808:808", "2002:808:808::1",
    ],
)  # fmt: skip
def test_addresses_of_the_web_are_public(peer: str) -> None:
    assert addresses.is_public(peer)


@pytest.mark.parametrize(
    "peer",
    [
        "0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
        "192.0.0.8", "192.0.0.9", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "::", "::1",
        "::127.0.0.1", "::8.8.8.8", "::ffff:10.1.2.3", "::ffff:0:8.8.8.8", "64:ff9b::a01:203", "64:ff9b:1::7f00:1",
        "64:ff9b:1:1::808:808", "100::1", "2001::1", "2001:0:808:808::1", "2001:2::1", "2001:20::1", "2001:db8::1",
        "2002:a01:203::1", "2002:7f00:1::", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd12::1", "fe80::1",
        "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
    ],
)  # fmt: skip
def test_all_other_addresses_are_not(peer: str) -> None:
    assert not addresses.is_public(peer)
