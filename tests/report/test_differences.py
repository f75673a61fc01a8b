"""What differs in a pair is in the report, its table and its page, also where the pair was rejected for it."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.command import Run, refused
from tests.support.folders import CAPTION, LOGO, Folders, paste
from tests.support.page import Parsed
from tests.support.report import VALIDATOR, report_of, rows_of
from tests.support.slow import thorough
from twimager.geometry import Rect
from twimager.verify.agreement import Label


@pytest.fixture
def pasted(folders: Folders) -> Folders:
    """Two pairs: half a caption covers l0, a logo is in l1."""
    paste(folders)
    return folders


@pytest.fixture
def report(run: Run, pasted: Folders) -> dict[str, Any]:
    run(*pasted.flags, "--report")
    return report_of(pasted.dest)


def labels(agreement: dict[str, Any]) -> np.ndarray:
    """The labels of a map, as docs/report.md says how to read them."""
    width, height = agreement["size"]
    return np.frombuffer(zlib.decompress(base64.b64decode(agreement["labels"])), np.uint8).reshape(height, width)


def differing(report: dict[str, Any]) -> dict[str, Any]:
    """The rejected pair of which a part differs."""
    (pair,) = [pair for pair in report["rejected_pairs"] if pair["agreement"]]
    return pair


def share_inside(pair: dict[str, Any], area: Rect) -> float:
    """How much of an area of the LR differs by the map."""
    agreement = pair["agreement"]
    x, y, width, height = agreement["area"]
    differs = (labels(agreement) == Label.DIFFER).astype(np.float32)
    return float(area.moved(-x, -y).cut(cv2.resize(differs, (width, height), interpolation=cv2.INTER_NEAREST)).mean())


def test_the_map_says_where_and_the_numbers_how_much(report: dict[str, Any]) -> None:
    VALIDATOR.validate(report)
    (written,) = report["pairs"]
    for pair, area in ((written, LOGO), (differing(report), CAPTION)):
        assert pair["different"] == pytest.approx((labels(pair["agreement"]) == Label.DIFFER).mean(), abs=1e-3)
        assert pair["agreed"] + pair["different"] + pair["unjudged"] == pytest.approx(1, abs=1e-3)
        assert 0 <= pair["contradicted"] <= pair["different"]
        assert share_inside(pair, area) > 0.9
    assert len(written["agreement"]["labels"]) < 2000


def test_a_map_lies_in_the_whole_lr(run: Run, pasted: Folders) -> None:
    path = str(pasted.lr / "l1.png")
    cv2.imwrite(path, cv2.copyMakeBorder(cv2.imread(path), 24, 24, 0, 0, cv2.BORDER_CONSTANT))
    run(*pasted.flags, "--report")
    (pair,) = report_of(pasted.dest)["pairs"]
    assert pair["lr_picture"][1] >= 24
    assert pair["agreement"]["area"][1] >= 24
    assert share_inside(pair, LOGO.moved(0, 24)) > 0.9


def test_where_nothing_differs_there_is_no_map(run: Run, folders: Folders) -> None:
    run(*folders.flags, "--report")
    report = report_of(folders.dest)
    assert [pair["agreement"] for pair in report["pairs"]] == [None, None]
    shown = Parsed((folders.dest / "report.html").read_bytes()).data
    assert [pair["differs"] for pair in shown["pairs"]] == [None, None]


def test_an_lr_whose_closest_hr_differs_says_so(run: Run, pasted: Folders) -> None:
    outcome = run(*pasted.flags, "--report", "--verbose")
    report = report_of(pasted.dest)
    (lr,) = [image for image in report["rejected_images"] if image["side"] == "LR"]
    assert lr["reason"] == "no HR shows this frame"
    assert lr["detail"] == f"closest h0.png: {differing(report)['detail']}"
    assert "LR left without a pair: 1 (1 no HR shows this frame)" in outcome.out
    assert "closest: 1 part of the LR shows something else" in outcome.out
    numbers = [report["pairs"][0][name] for name in ("agreed", "different", "unjudged")]
    assert "agreed {:.2f}, different {:.2f}, unjudged {:.2f}\n".format(*numbers) in outcome.err


@pytest.mark.slow
def test_duplicates_of_such_an_lr_say_so_too(run: Run, pasted: Folders) -> None:
    (pasted.lr / "same.png").write_bytes((pasted.lr / "l0.png").read_bytes())
    run(*pasted.flags, "--report")
    left = [image for image in report_of(pasted.dest)["rejected_images"] if image["side"] == "LR"]
    assert {Path(image["path"]).name: image["reason"] for image in left} == dict.fromkeys(
        ("l0.png", "same.png"), "no HR shows this frame"
    )


def test_the_page_shows_what_differs(pasted: Folders, report: dict[str, Any]) -> None:
    shown = Parsed((pasted.dest / "report.html").read_bytes()).data
    rejected = {image["name"]: image["closest"] for image in shown["rejected"]}
    cards = [(shown["pairs"][0], report["pairs"][0])]
    cards += [(rejected[name], differing(report)) for name in ("l0.png", "h0.png")]
    for card, pair in cards:
        assert [card[name] for name in ("agreed", "different")] == [pair["agreed"], pair["different"]]
        assert card["differs"]["area"] == pair["agreement"]["area"]
        kind, data = card["differs"]["png"].split(",")
        assert kind == "data:image/png;base64"
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)
        assert ((pixels[..., 3] == 255) == (labels(pair["agreement"]) == Label.DIFFER)).all()
        assert len(data) < 2000


@pytest.mark.slow
def test_the_table_has_the_shares(pasted: Folders, report: dict[str, Any]) -> None:
    (row,) = rows_of((pasted.dest / "pairs.csv").read_bytes())
    for name in ("agreed", "different", "unjudged", "contradicted"):
        assert float(row[name]) == report["pairs"][0][name]


@pytest.mark.parametrize(
    "changed",
    thorough(
        [
            {"labels": base64.b64encode(b"nothing").decode()},
            {"labels": base64.b64encode(zlib.compress(bytes([3] * 4))).decode(), "size": [2, 2]},
            {"size": [1, 1]},
            {"size": [0, 0]},
            {"size": [1 << 20, 1 << 20]},
            {"area": [0, 0, 0, 5]},
        ]
    ),
)
def test_a_damaged_map_is_refused(run: Run, pasted: Folders, report: dict[str, Any], changed: dict[str, Any]) -> None:
    report["pairs"][0]["agreement"] |= changed
    path = pasted.dest / "report.json"
    path.write_text(json.dumps(report))
    refused(run("gallery", path), 2, "damaged")
