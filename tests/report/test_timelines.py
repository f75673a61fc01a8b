"""What the page and the captions of a report say of videos and of frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.page import Parsed
from tests.support.report import of_films, report_of, typed
from twimager.options import Options
from twimager.report.document import document
from twimager.report.page import page
from twimager.report.reader import caption
from twimager.report.records import FilmResult, Report
from twimager.video.matching import VideoMatch
from twimager.video.registration import Framing
from twimager.video.selection import Selection
from twimager.video.timeline import Segment, Timeline


@pytest.fixture
def report(run: Run, folders: Folders) -> dict[str, Any]:
    """The report of two pairs of frames, each of a segment of its own."""
    run(*folders.flags, "--report")
    return of_films(report_of(folders.dest))


def shown(report: dict[str, Any], folders: Folders) -> dict[str, Any]:
    return Parsed(page(typed(report), folders.dest)).data


def test_a_pair_has_its_moment_its_video_and_its_segment(folders: Folders, report: dict[str, Any]) -> None:
    first, second = shown(report, folders)["pairs"]
    assert first["moment"] == "LR 0:01:02.480 = HR 0:01:13.456"
    assert [first["segment"], second["segment"]] == [[0, 0], [0, 1]]
    assert (second["lr"], second["hr"]) == ("/films/dvd.mpg, frame 25", "/films/bluray.mkv, frame 24")
    assert second["sources"] == ["", ""]  # the frames' own files are gone
    assert caption(typed(report).pairs[0]).startswith("LR 0:01:02.480 = HR 0:01:13.456, residual")


def test_the_page_has_what_a_timeline_is_drawn_by(folders: Folders, report: dict[str, Any]) -> None:
    (timeline,) = shown(report, folders)["timelines"]
    assert timeline["videos"] == ["dvd.mpg", "bluray.mkv"]
    assert timeline["spans"] == [[50, 120], [55.5, 110]]
    assert timeline["segments"] == report["timelines"][0]["segments"]


@pytest.mark.parametrize(
    ("frame", "change"),
    [("lr_frame", {"seconds": 90}), ("lr_frame", {"video": "/other.mpg"}), ("hr_frame", {"video": "/other.mkv"})],
)
def test_what_is_of_no_segment_is_put_into_none(
    folders: Folders, report: dict[str, Any], frame: str, change: dict[str, Any]
) -> None:
    report["pairs"][0][frame].update(change)
    assert [pair["segment"] for pair in shown(report, folders)["pairs"]] == [None, [0, 1]]


def test_a_still_of_a_film_has_the_moment_of_one_side(folders: Folders, report: dict[str, Any]) -> None:
    report["pairs"][0]["lr_frame"] = None
    still, _ = shown(report, folders)["pairs"]
    assert (still["moment"], still["segment"]) == ("HR 0:01:13.456", None)
    assert still["lr"] == report["pairs"][0]["lr"]
    assert still["sources"][0]


def test_images_have_no_moments(folders: Folders, run: Run) -> None:
    run(*folders.flags, "--report")
    plain = shown(report_of(folders.dest), folders)
    assert plain["timelines"] == []
    assert plain["run"]["files"] == ["report.json", "pairs.csv"]
    assert [(pair["moment"], pair["segment"]) for pair in plain["pairs"]] == [("", None)] * 2


def test_a_timeline_says_from_when_to_when_the_videos_are() -> None:
    segment = Segment(1, 2, 0.04, 0.08, 1.5, 1.54, 1.0, 1.0000001)
    timeline = Timeline([segment], np.array([-1, 0, 1]), Framing((1, 0), (1, 0)))
    match = VideoMatch(Path("/a.mkv"), Path("/b.mkv"), timeline, (0.0, 0.08), (1.5, 9.1234567))
    chosen = Selection(np.array([1]), {"black": 2}, np.array([1]))
    film = FilmResult(match, chosen, 0.01234567)
    (record,) = document(Report(Options(Path("a"), Path("b")), films=(film,))).timelines
    assert record.weave == 0.0123
    assert (record.lr_span, record.hr_span) == ((0, 0.08), (1.5, 9.123457))
    assert (record.chosen, record.left_out, record.segments[0].confidence) == (1, {"black": 2}, 1)
