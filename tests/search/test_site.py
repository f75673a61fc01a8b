"""The page where pictures are dropped: what it answers, what it refuses, and how it looks in a browser."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.support.browser import PROGRAM, Browser
from tests.support.client import Client
from tests.support.command import Run, refused
from tests.support.marks import links
from tests.support.page import Parsed
from tests.support.paths import EXAMPLES
from tests.support.web import web
from twimager.runtime.console import Console
from twimager.search.download import MOST_BYTES
from twimager.search.job import SearchOptions, open_searcher
from twimager.search.ranking import Criteria
from twimager.search.site import SearchSite
from twimager.web.server import LocalServer
from twimager.web.site import Refusal

HR, CAT, ROOT = EXAMPLES / "HR", EXAMPLES / "LR/still_07.jpg", EXAMPLES.parent


@contextmanager
def serving() -> Iterator[LocalServer]:
    options = SearchOptions(HR, Criteria(top=3, thumbnails=True))
    with (
        open_searcher(options, Console(quiet=True)) as searcher,
        LocalServer(SearchSite(searcher, HR), most_bytes=MOST_BYTES) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with serving() as started:
        yield started


@pytest.fixture
def client(server: LocalServer) -> Client:
    return Client(server)


def posted(client: Client, path: str, body: bytes) -> dict[str, Any]:
    status, answer = client.request("POST", path, body)
    assert status == 200
    return json.loads(answer)


def test_the_page_may_send_requests_to_its_server_only(client: Client) -> None:
    response, html = client.response("GET", client.base)
    page = Parsed(html)
    assert response.status == 200
    assert "default-src 'none'" in page.policy
    assert "connect-src 'self'" in page.policy
    assert "frame-ancestors 'none'" in (response.getheader("Content-Security-Policy") or "")
    assert page.data == {"folder": str(HR), "images": 9, "most_bytes": MOST_BYTES, "asked": []}


def test_an_uploaded_picture_is_found(client: Client) -> None:
    answer = posted(client, "picture", CAT.read_bytes())
    assert (answer["error"], answer["aligned"], len(answer["found"])) == ("", True, 3)
    first = answer["found"][0]
    assert first["path"] == "P1040518.jpg"
    assert base64.b64decode(first["thumbnail"].split(",")[1]).startswith(b"\xff\xd8")
    assert np.array(first["outline"]) == pytest.approx(np.array([[0, 0], [1, 0], [1, 1], [0, 1]]), abs=0.1)


def test_what_was_found_is_served_and_nothing_else(client: Client) -> None:
    first = posted(client, "picture", CAT.read_bytes())["found"][0]
    assert (first["full"], first["place"]) == (str(HR / "P1040518.jpg"), "")
    response, data = client.response("GET", client.base + first["link"])
    assert (response.status, response.getheader("Content-Type")) == (200, "image/jpeg")
    assert data == (HR / "P1040518.jpg").read_bytes()
    for path in ("image/999", "image/", f"{first['link']}/", "image/../P1040518.jpg", "image/P1040518.jpg"):
        assert client.request("GET", path)[0] == 404


@links
def test_what_leads_out_of_the_folder_by_then_is_not_served(tmp_path: Path) -> None:
    shutil.copy(HR / "P1040518.jpg", tmp_path / "found.jpg")
    options = SearchOptions(tmp_path, Criteria(thumbnails=True))
    with open_searcher(options, Console(quiet=True)) as searcher:
        said: list[str] = []
        site = SearchSite(searcher, tmp_path, said.append)
        (card,) = json.loads(site.post("picture", CAT.read_bytes()).body)["found"]
        assert said[0].startswith("the picture: 1 shows it, 0 look like it; ")
        assert site.get(card["link"]).content_type == "image/jpeg"
        (tmp_path / "found.jpg").unlink()
        (tmp_path / "found.jpg").symlink_to(HR / "P1040518.jpg")
        with pytest.raises(Refusal):
            site.get(card["link"])


def test_an_address_is_fetched(client: Client) -> None:
    with web() as (address, _):
        assert posted(client, "address", f" {address}/moved\n".encode())["found"][0]["path"] == "P1040518.jpg"
        assert "a web page" in posted(client, "address", f"{address}/page".encode())["error"]
        assert "leads to file:" in posted(client, "address", f"{address}/to_file".encode())["error"]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("picture", b"", "not an image"),
        ("picture", b"<!doctype html>", "not an image"),
        ("picture", CAT.read_bytes()[:3000], "damaged or cut short"),
        ("address", str(CAT).encode(), "no address"),
        ("address", b"", "no address"),
        ("address", CAT.as_uri().encode(), "only http: and https:"),
        ("address", b"\xff\xfe://\0", "leads to nowhere"),
    ],
)
def test_what_is_no_image_is_refused(client: Client, path: str, body: bytes, words: str) -> None:
    answer = posted(client, path, body)
    assert words in answer["error"]
    assert answer["found"] == []


def test_what_is_too_large_is_refused_before_it_is_sent(client: Client) -> None:
    status, answer = client.request("POST", "picture", b"", Content_Length=str(MOST_BYTES + 1))
    assert status == 413
    assert str(MOST_BYTES) in answer.decode()


def test_there_is_nothing_else_and_for_nobody_else(client: Client) -> None:
    for path in ("P1040518.jpg", "../README.md", "picture"):
        assert client.request("GET", path)[0] == 404
    assert client.request("POST", "elsewhere", b"")[0] == 404
    assert client.response("GET", "/")[0].status == 403
    assert client.request("POST", "picture", CAT.read_bytes(), Origin="http://example.org")[0] == 403
    assert client.request("POST", "address", b"http://localhost/", Host="localhost:1")[0] == 403


def test_the_command_reads_the_folder_prints_the_address_and_serves(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers = []

    def request_and_end(server: LocalServer, opened: bool) -> None:
        assert not opened
        answers.append(server.site.post("picture", CAT.read_bytes()))

    monkeypatch.setattr(LocalServer, "run", request_and_end)
    outcome = run("serve", HR, "--no_open", "--top", 1, "--save", tmp_path / "store")
    assert outcome.code == 0
    assert "9 images" in outcome.err
    assert [one["path"] for one in json.loads(answers[0].body)["found"]] == ["P1040518.jpg"]


def test_what_does_not_fit_is_said_in_one_line(run: Run, tmp_path: Path) -> None:
    refused(run("serve"), 2, "DIR")
    refused(run("serve", tmp_path / "none"), 2, "there is no folder")
    refused(run("serve", tmp_path), 2, "no files")
    refused(run("serve", HR, "--top", 0), 2, "--top")
    refused(run("serve", HR, "--quiet", "--no_open", "--port", 99999), 2, "--port")


def test_no_upload_is_kept(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for body in (CAT.read_bytes(), CAT.read_bytes()[:3000], b"no image"):
        posted(client, "picture", body)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for one process")
def test_uploads_that_ctrl_c_cuts_off_leave_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "twimager.py", "serve", HR, "--no_open", "--quiet"]
    with (
        subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process,
        ThreadPoolExecutor(4) as pool,
    ):  # fmt: skip
        assert process.stdout
        assert process.stderr
        address = process.stdout.readline().strip()
        uploads = [pool.submit(upload, address) for _ in range(4)]
        while not any(tmp_path.iterdir()):
            assert not all(one.done() for one in uploads)
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == ""
        assert process.wait() == 0
    assert list(tmp_path.iterdir()) == []


def upload(address: str) -> None:
    """Upload a picture, however that ends."""
    parts = urlsplit(address)
    connection = HTTPConnection(parts.netloc, timeout=60)
    with suppress(OSError, HTTPException):
        connection.request("POST", f"{parts.path}picture", CAT.read_bytes(), {"Origin": f"http://{parts.netloc}"})
        connection.getresponse().read()
    connection.close()


@pytest.mark.slow
@pytest.mark.skipif(not PROGRAM or sys.platform == "win32", reason="there is no Chromium")
def test_in_a_browser_a_dropped_picture_is_found(server: LocalServer, tmp_path: Path) -> None:
    with Browser(tmp_path / "profile") as browser:
        browser.show(server.address)
        data = base64.b64encode(CAT.read_bytes()).decode()
        browser.run(
            f"""(() => {{
                const bytes = Uint8Array.from(atob("{data}"), c => c.charCodeAt(0)), moved = new DataTransfer();
                moved.items.add(new File([bytes], "<b>my cat.jpg", {{type: "image/jpeg"}}));
                const settings = {{dataTransfer: moved, bubbles: true, cancelable: true}};
                document.getElementById("drop").dispatchEvent(new DragEvent("drop", settings));
            }})()"""
        )
        browser.wait("document.querySelectorAll('.match').length === 3")
        assert browser.run("document.querySelector('h2').textContent") == "<b>my cat.jpg"
        assert browser.run("document.querySelector('.match .path').textContent") == "P1040518.jpg"
        assert browser.run("document.querySelectorAll('.match:not(.only)').length") == 1
        browser.wait("[...document.images].every(image => image.complete && image.naturalWidth)")
        assert "1 shows this picture, 2 look like it" in browser.run("document.querySelector('.query p').textContent")
        browser.click(".match .look")
        browser.wait("document.querySelector('#view img').naturalWidth > 0")
        assert "/image/" in browser.run("document.querySelector('#view img').src")
        assert browser.run("document.querySelectorAll('#view polygon').length") == 1
        assert browser.run("document.getElementById('full').textContent") == str(HR / "P1040518.jpg")
        browser.press("Escape")
        browser.run("document.getElementById('address').value = 'file:///etc/passwd'")
        browser.click("#go")
        browser.wait("!!document.querySelector('.error')")
        assert "only http: and https:" in browser.run("document.querySelector('.error').textContent")
        assert browser.complaints == []
        assert all(url.startswith((server.address, "data:image/jpeg")) for url in browser.requests)
