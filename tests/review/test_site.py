"""A review that is served: what is decided is on disk at once, and nothing but DEST's own is read or deleted."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.client import Tab, served
from tests.support.command import Run
from tests.support.folders import Folders, contents
from tests.support.marks import links
from tests.support.page import Parsed
from tests.support.report import hr_names, report_of
from twimager.errors import TwimagerError, UsageError


@pytest.fixture
def report(run: Run, folders: Folders) -> Path:
    """The report of two pairs, and of an HR that is in none."""
    shutil.copy(folders.lr / "l0.png", folders.hr / "small.png")
    run(*folders.flags, "--report", "--min_native_scale", 1)
    return folders.dest / "report.json"


@pytest.fixture
def tab(report: Path) -> Iterator[Tab]:
    with served(report) as shown:
        yield shown


def edited(report: Path, change: Any) -> None:
    document = json.loads(report.read_text())
    change(document)
    report.write_text(json.dumps(document))


def test_the_page_is_the_reports_own(tab: Tab, folders: Folders) -> None:
    response, html = tab.response("GET", tab.base)
    page, plain = Parsed(html), Parsed((folders.dest / "report.html").read_bytes())
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Content-Security-Policy"] == page.policy + "; frame-ancestors 'none'"
    assert "default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'sha256-" in page.policy
    assert page.inline["script"] == plain.inline["script"]
    assert page.data["served"]
    assert not plain.data["served"]
    assert [pair["name"] for pair in page.data["pairs"]] == [pair["name"] for pair in plain.data["pairs"]]
    assert [image["name"] for image in page.data["rejected"]] == ["small.png"]


def test_the_images_of_the_page_are_there(tab: Tab, folders: Folders) -> None:
    data = tab.show()
    for shown, pair in zip(data["pairs"], report_of(folders.dest)["pairs"], strict=True):
        written = [Path(pair[key]).read_bytes() for key in ("lr_output", "hr_output")]
        assert [tab.image(link) for link in shown["images"]] == written
    (rejected,) = data["rejected"]
    assert tab.image(rejected["image"]) == (folders.hr / "small.png").read_bytes()
    assert tab.image(rejected["closest"]["image"]) == (folders.lr / rejected["closest"]["name"]).read_bytes()


def test_what_is_decided_is_on_disk_at_once(tab: Tab, folders: Folders) -> None:
    before = contents(folders.dest)
    first, second = hr_names(folders.dest)
    assert tab.decide("accept", pair=1, accepted=True) == (200, {"accepted": [1], "deleted": []})
    assert [pair["accepted"] for pair in report_of(folders.dest)["pairs"]] == [None, True]
    assert tab.decide("delete", pair=0) == (200, {"accepted": [1], "deleted": [0]})
    assert hr_names(folders.dest) == [second]
    assert set(before) - set(contents(folders.dest)) == {f"LR/{first}", f"HR/{first}"}
    assert tab.decide("undo", pair=0) == (200, {"accepted": [1], "deleted": []})
    assert hr_names(folders.dest) == [first, second]
    assert tab.decide("accept", pair=1, accepted=False) == (200, {"accepted": [], "deleted": []})
    assert contents(folders.dest) == before


def test_pairs_are_accepted_at_once(tab: Tab, folders: Folders) -> None:
    assert tab.decide("accept", pairs=[0, 1], accepted=True) == (200, {"accepted": [0, 1], "deleted": []})
    assert tab.decide("delete", pair=0)[0] == 200
    for wrong, status in (([1, 0], 409), ([1, 2], 400), (1, 400), ([[1]], 400)):
        assert tab.decide("accept", pairs=wrong, accepted=False)[0] == status
    assert [pair["accepted"] for pair in report_of(folders.dest)["pairs"]] == [True]


def test_thumbnails_are_made_of_what_the_page_shows_alone(tab: Tab) -> None:
    link = tab.show()["pairs"][0]["images"][1]
    data = tab.image(link.replace("image/", "thumbnail/"))
    assert data
    assert data.startswith(b"\xff\xd8")
    assert len(data) < len(tab.image(link) or b"")
    for path in ("thumbnail/999", "thumbnail/../image/0", "thumbnail/", "thumbnail/0/"):
        assert tab.request("GET", path)[0] == 404


def test_what_is_deleted_can_be_seen_until_the_end(report: Path, folders: Folders) -> None:
    with served(report) as tab:
        link = tab.show()["pairs"][0]["images"][1]
        before = tab.image(link)
        tab.decide("delete", pair=0)
        assert tab.image(link) == before
        data = tab.show()
        assert (len(data["pairs"]), data["decisions"]) == (2, {"accepted": [], "deleted": [0]})
    assert len(hr_names(folders.dest)) == 1
    assert not (folders.dest / ".twimager" / "trash").exists()
    assert len(Parsed((folders.dest / "report.html").read_bytes()).data["pairs"]) == 1


def test_the_next_review_can_undo_what_a_killed_one_deleted(report: Path, folders: Folders) -> None:
    before = contents(folders.dest)
    with suppress(ZeroDivisionError), served(report) as tab:
        tab.decide("delete", pair=0)
        raise ZeroDivisionError
    with served(report) as tab:
        data = tab.show()
        assert data["decisions"]["deleted"] == [0]
        assert tab.image(data["pairs"][0]["images"][1]) == before[f"HR/{data['pairs'][0]['name']}"]
        assert tab.decide("undo", pair=0)[0] == 200
    assert contents(folders.dest) == before


def test_looking_changes_nothing(tab: Tab, folders: Folders) -> None:
    before = contents(folders.dest)
    for path in ("accept", "delete", "undo", "done", "delete?pair=0", "accept?pair=0&accepted=true", "delete/0"):
        assert tab.request("GET", path)[0] == 404
        assert tab.request("GET", path, b'{"pair": 0}')[0] == 400
    for path in ("", "decisions", "image/0", "x", "delete/", "Delete", "delete%20", "../delete"):
        assert tab.decide(path, pair=0)[0] == 404
    assert tab.decide("delete", pair=0)[0] == 200
    assert contents(folders.dest) != before


def test_others_decide_nothing(tab: Tab, folders: Folders) -> None:
    before = contents(folders.dest)
    unsupported = {"Origin": "http://evil.example", "Host": "evil.example", "Sec_Fetch_Site": "same-site"}
    for headers in [*({name: value} for name, value in unsupported.items()), {"Origin": None}]:
        for what in ("accept", "delete", "undo", "done"):
            assert tab.request("POST", what, b'{"pair": 0, "accepted": true}', **headers)[0] == 403
    assert tab.response("POST", "/delete", b'{"pair": 0}')[0].status == 403
    assert contents(folders.dest) == before


def test_no_request_is_a_path(tab: Tab, report: Path, folders: Folders) -> None:
    secret = folders.dest.parent / "secret.png"
    secret.write_bytes((folders.lr / "l0.png").read_bytes())
    up = ["..", "%2e%2e", "%2E.", "..%2f", "%252e%252e", "..%5c", "..\\", "....//", "%c0%ae%c0%ae", "%u002e%u002e"]
    forms = "{}/secret.png", "image/{}/{}/secret.png", "image/0/{}/{}/{}/secret.png", "{}/out/report.json", "HR/{}/x"
    for path in [form.replace("{}", dots) for form in forms for dots in up]:
        assert tab.request("GET", path)[0] == 404, path
    for path in (
        "report.json", "report.html", "HR/h0.png", ".twimager/journal.jsonl", str(secret), f"/{secret}",
        f"image/{secret}", f"file://{secret}", "image/999", "image/-1", "image/00", "image/0/", "image/0%00",
        "image/0.png", "image/0?", "image/", "image", "image/none", "IMAGE/0", "image/%30", "image/0;x", "page.js",
        "CON", "C:/secret.png", "\\\\host\\share",
    ):  # fmt: skip
        assert tab.request("GET", path)[0] == 404, path
    assert tab.image("image/0")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"0", b"{}", b"[" * 1000, b"\xff\xfe", b'{"pair": "0", "accepted": true}',
        b'{"pair": true, "accepted": true}', b'{"pair": 0.0, "accepted": true}', b'{"pair": -1, "accepted": true}',
        b'{"pair": 2, "accepted": true}', b'{"pair": 1e999, "accepted": true}', b'{"pair": NaN, "accepted": true}',
        b'{"pair": {"lr": "/etc/passwd"}, "accepted": true}', b'{"pair": "/etc/passwd", "accepted": true}',
        b'{"pair": [0], "accepted": true}', b'{"pair": null, "accepted": true}', b'{"PAIR": 0, "accepted": true}',
        b'{"pair": ' + b"9" * 900 + b', "accepted": true}',
    ],
)  # fmt: skip
def test_a_request_that_is_none_is_refused(tab: Tab, folders: Folders, body: bytes) -> None:
    before = contents(folders.dest)
    for what in ("accept", "delete", "undo"):
        assert tab.request("POST", what, body)[0] == 400
    assert contents(folders.dest) == before


def test_a_pair_is_accepted_or_not(tab: Tab) -> None:
    for accepted in (1, 0, "true", None, []):
        assert tab.decide("accept", pair=0, accepted=accepted)[0] == 400
    assert tab.decide("accept", pair=0)[0] == 400
    assert tab.request("POST", "delete", b'{"pair": 0, "x": "%s"}' % (b"x" * 2000))[0] == 413
    assert tab.show()["decisions"] == {"accepted": [], "deleted": []}


def test_two_tabs_show_the_same_decisions(tab: Tab, folders: Folders) -> None:
    other = Tab(tab.server)
    assert tab.decide("delete", pair=0)[0] == 200
    assert other.decide("delete", pair=0) == (409, "that pair was deleted meanwhile\n")
    assert other.decide("accept", pair=0, accepted=True) == (409, "that pair was deleted meanwhile\n")
    assert json.loads(other.request("GET", "decisions")[1]) == {"accepted": [], "deleted": [0]}
    assert other.decide("delete", pair=1)[0] == 200
    assert tab.decide("undo", pair=0) == (409, "that is not the pair that was deleted last\n")
    assert tab.decide("undo", pair=1)[0] == 200
    assert tab.decide("undo", pair=0)[0] == 200
    assert tab.decide("undo", pair=0)[0] == 409
    assert len(hr_names(folders.dest)) == 2


def test_many_tabs_at_once_leave_one_truth(report: Path, folders: Folders) -> None:
    many = 12

    def multiply(document: dict[str, Any]) -> None:
        pair = document["pairs"][0]
        document["pairs"] = []
        for number in range(many):
            outputs = {key: str(Path(pair[key]).with_name(f"{number}.png")) for key in ("lr_output", "hr_output")}
            for key, path in outputs.items():
                shutil.copy(pair[key], path)
            sources = {key: str(Path(pair[key]).with_name(f"{number}.png")) for key in ("lr", "hr")}
            document["pairs"].append({**pair, **sources, **outputs})

    edited(report, multiply)
    with served(report) as tab, ThreadPoolExecutor(8) as tabs:

        def work(worker: int) -> list[int]:
            mine = Tab(tab.server)
            deleted = [mine.decide("delete", pair=(number + worker) % many)[0] for number in range(many // 2)]
            return deleted + [mine.decide("accept", pair=number, accepted=True)[0] for number in range(many)]

        assert {status for given in tabs.map(work, range(4)) for status in given} == {200, 409}
        decisions = tab.show()["decisions"]
        assert sorted(decisions["deleted"]) == list(range(many // 2 + 3))
        assert decisions["accepted"] == list(range(many // 2 + 3, many))
        kept = {f"{number}.png" for number in decisions["accepted"]}
        assert set(hr_names(folders.dest)) == kept
        assert {path.name for path in (folders.dest / "HR").iterdir()} - {"h0.png", "h1.png"} == kept


def test_what_cannot_be_done_is_said_in_a_line(tab: Tab, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise TwimagerError("the disk is full\nand more")

    monkeypatch.setattr("twimager.review.document.write_files", full)
    before = contents(folders.dest)
    for request in ({"what": "accept", "accepted": True}, {"what": "delete"}):
        assert tab.decide(pair=0, **request) == (500, "the disk is full\N{REPLACEMENT CHARACTER}and more\n")
    assert contents(folders.dest) == before
    assert tab.show()["decisions"] == {"accepted": [], "deleted": []}


@links
def test_a_link_that_leads_out_of_dest_is_not_followed(report: Path, folders: Folders) -> None:
    outside = folders.dest.parent / "outside"
    outside.mkdir()
    secret = outside / "h0.png"
    secret.write_bytes((folders.dest / "HR" / "h0.png").read_bytes())
    with served(report) as tab:
        number = hr_names(folders.dest).index("h0.png")
        link = tab.show()["pairs"][number]["images"][1]
        (folders.dest / "HR" / "h0.png").unlink()
        (folders.dest / "HR" / "h0.png").symlink_to(secret)
        assert tab.image(link) is None
        assert tab.decide("delete", pair=number)[0] == 500
        shutil.rmtree(folders.dest / "HR")
        (folders.dest / "HR").symlink_to(outside)
        assert tab.image(link) is None
        assert tab.decide("delete", pair=number)[0] == 500
    assert secret.exists()
    assert len(report_of(folders.dest)["pairs"]) == 2


def test_what_is_no_image_is_not_shown(tab: Tab, folders: Folders) -> None:
    for link in tab.show()["pairs"][0]["images"]:
        for data in (b"root:x:0:0:root", b"<script>alert(1)</script>", b"", b"GIF89a<script>", b"\x89PN"):
            (folders.dest / "LR" / "h0.png").write_bytes(data)
            (folders.dest / "HR" / "h0.png").write_bytes(data)
            assert tab.image(link) is None
    (folders.dest / "HR" / "h0.png").unlink()
    (folders.dest / "HR" / "h0.png").mkdir()
    assert tab.image(link) is None


@links
def test_sources_are_shown_from_their_folders_only(report: Path, folders: Folders) -> None:
    secret = folders.dest.parent / "secret.png"
    shutil.copy(folders.hr / "small.png", secret)
    (folders.hr / "link.png").symlink_to(secret)
    (folders.hr / "text.png").write_text("no image")

    def name(path: object) -> Any:
        return lambda document: document["rejected_images"][0].update(path=str(path))

    def shown(change: Any) -> bytes | None:
        kept = report.read_bytes()
        edited(report, change)
        with served(report) as tab:
            data = tab.image(tab.show()["rejected"][0]["image"])
        report.write_bytes(kept)
        return data

    assert shown(name(folders.hr / "small.png"))
    out = [secret, folders.hr / ".." / "secret.png", folders.hr / "link.png", folders.lr / "l0.png", "/etc/passwd", "/"]
    for path in [*out, folders.hr, folders.hr / "text.png", folders.hr / "gone.png", folders.dest / "pairs.csv"]:
        assert shown(name(path)) is None, path

    def widen(document: dict[str, Any]) -> None:
        name(secret)(document)
        document["settings"]["hr"] = str(secret.parent)

    assert shown(widen) is None


def test_a_report_that_names_others_files_is_refused(report: Path, folders: Folders) -> None:
    secret = folders.dest.parent / "secret.png"
    shutil.copy(folders.hr / "small.png", secret)
    for output in (
        secret,
        folders.dest / "HR" / ".." / ".." / "secret.png",
        folders.hr / "small.png",
        folders.dest / "pairs.csv",
    ):
        kept = report.read_bytes()
        edited(report, lambda document, output=output: document["pairs"][0].update(hr_output=str(output)))
        with pytest.raises(UsageError, match="report"), served(report):
            pass
        report.write_bytes(kept)
    assert secret.exists()


def test_a_report_that_holds_too_little_is_refused(report: Path) -> None:
    edited(report, lambda document: document["rejected_images"][0].pop("detail"))
    with pytest.raises(UsageError, match="damaged"), served(report):
        pass


def test_tiff_is_shown_as_png(run: Run, folders: Folders) -> None:
    deep = cv2.imread(str(folders.hr / "h0.png")).astype(np.uint16) * 257
    cv2.imwrite(str(folders.hr / "h0.png"), deep)
    run(*folders.flags, "--report", "--format", "tiff")
    with served(folders.dest / "report.json") as tab:
        number = hr_names(folders.dest).index("h0.tiff")
        data = tab.image(tab.show()["pairs"][number]["images"][1])
    written = cv2.imread(str(folders.dest / "HR" / "h0.tiff"), cv2.IMREAD_UNCHANGED)
    assert written.dtype == np.uint16
    assert data
    assert data.startswith(b"\x89PNG")
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.abs(shown - written / 257).max() <= 0.5


@pytest.mark.parametrize(("kind", "content"), [("webp", "image/webp"), ("jpg", "image/jpeg"), ("png", "image/png")])
def test_what_browsers_show_is_sent_as_it_is(run: Run, folders: Folders, kind: str, content: str) -> None:
    run(*folders.flags, "--report", "--format", kind, "--output", "hr")
    with served(folders.dest / "report.json") as tab:
        lr, hr = tab.show()["pairs"][0]["images"]
        response, data = tab.response("GET", tab.base + hr)
        assert response.headers["Content-Type"] == content
        assert data == Path(report_of(folders.dest)["pairs"][0]["hr_output"]).read_bytes()
        assert tab.image(lr) == Path(report_of(folders.dest)["pairs"][0]["lr"]).read_bytes()


def test_names_stay_text(report: Path, folders: Folders) -> None:
    nasty = "</script><script>alert(1)</script>"
    edited(report, lambda document: document["rejected_images"][0].update(detail=nasty, path=str(folders.hr / nasty)))
    with served(report) as tab:
        html = tab.request("GET", "")[1]
    assert Parsed(html).data["rejected"][0]["detail"] == nasty
    assert html.count(b"<script") == 2
