"""What is said of videos that can't be read, or not all of them, and when their frames are shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.videos import moving, write_sound, write_video
from twimager.errors import UnreadableVideo, UsageError
from twimager.video import container
from twimager.video.container import clock, frames, is_video, luma, probe, require_av


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "film.mkv", moving(50), g="10")


def bad(folder: Path, name: str, video: Path) -> Path:
    path = folder / name
    if name == "sound.mkv":
        return write_sound(path)
    path.write_bytes({
        "text.mkv": b"This is no video.\n" * 50, "empty.mkv": b"", "cut.mp4": b"\0\0\0\x18ftypisom" + bytes(500),
        "cut.mkv": video.read_bytes()[:500],
    }[name])  # fmt: skip
    return path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("text.mkv", "is no video"), ("empty.mkv", "is empty"), ("cut.mp4", "is truncated: its index is missing"),
        ("sound.mkv", "holds no video stream"), ("cut.mkv", "can't be opened: Input/output error"),
    ],
)  # fmt: skip
def test_what_is_no_whole_video_is_named(tmp_path: Path, video: Path, name: str, words: str) -> None:
    with pytest.raises(UnreadableVideo, match=words) as raised:
        probe(bad(tmp_path, name, video))
    assert name in str(raised.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableVideo, match=r"none\.mkv: No such file"):
        probe(tmp_path / "none.mkv")


def test_without_pyav_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="pip install"):
        require_av()


def test_videos_are_told_by_their_extension_or_else_their_header(tmp_path: Path, video: Path) -> None:
    unnamed, image = tmp_path / "film", tmp_path / "image.png"
    unnamed.write_bytes(video.read_bytes())
    image.write_bytes(video.read_bytes())
    text = tmp_path / "README"
    text.write_text("words")
    assert [is_video(path) for path in (video, tmp_path / "a.MPG", unnamed, image, text)] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_the_facts_of_a_video(video: Path) -> None:
    facts = probe(video)
    assert (facts.size, facts.pixel_format, facts.matrix, facts.full_range) == ((160, 90), "yuv420p", None, None)
    assert facts.duration == pytest.approx(2.0, abs=0.05)


def test_damage_in_the_middle_is_named_and_the_rest_read(tmp_path: Path, video: Path) -> None:
    data = bytearray(video.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    path, warnings = tmp_path / "damaged.mkv", list[str]()
    path.write_bytes(data)
    seconds = [timed.seconds for timed in frames(path, warnings.append)]
    assert seconds[0] == 0
    assert seconds[-1] == pytest.approx(1.96, abs=0.01)
    assert [warning for warning in warnings if "damaged.mkv: damaged at" in warning]


def test_a_video_that_ends_too_early_is_named(tmp_path: Path, video: Path) -> None:
    long = write_video(tmp_path / "long.mkv", moving(200), g="10")
    path, warnings = tmp_path / "short.mkv", list[str]()
    path.write_bytes(long.read_bytes()[: long.stat().st_size // 2])
    assert 50 < sum(1 for _ in frames(path, warnings.append)) < 150
    assert any("of 0:00:08; it is truncated" in warning for warning in warnings)


def test_of_two_video_streams_the_first_is_read(tmp_path: Path) -> None:
    path, warnings = write_video(tmp_path / "two.mkv", moving(5), streams=2), list[str]()
    assert all(luma(timed.frame).mean() > 20 for timed in frames(path, warnings.append))
    assert warnings == [f"{path}: the first of its 2 video streams is read"]


def test_joined_recordings_go_on_in_time_and_changing_sizes_are_named(tmp_path: Path) -> None:
    parts = [write_video(tmp_path / f"{size[0]}.ts", moving(20, size), "mpeg2video") for size in ((160, 90), (128, 96))]
    path, warnings = tmp_path / "joined.ts", list[str]()
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    seconds = [timed.seconds for timed in frames(path, warnings.append)]
    assert len(seconds) >= 38
    assert (np.diff(seconds) > 0).all()
    assert max(np.diff(seconds)) < 0.2
    assert any("160x90 pixels until" in warning and "128x96" in warning for warning in warnings)


def test_missing_and_negative_timestamps_go_on_by_a_frame() -> None:
    stream = SimpleNamespace(average_rate=Fraction(25), time_base=Fraction(1, 1000))
    given = [-80, -40, None, 40, None, None, 160]
    timed = list(container._timed((SimpleNamespace(pts=pts) for pts in given), stream))  # type: ignore[misc,arg-type]
    assert [one.pts for one in timed] == [-80, -40, 0, 40, 80, 120, 160]
    assert [one.seconds for one in timed] == pytest.approx([-0.08, -0.04, 0, 0.04, 0.08, 0.12, 0.16])


def test_times_are_written_as_clocks() -> None:
    assert [clock(0), clock(59.9996, 3), clock(-0.0001, 3), clock(36000.5, 1)] == [
        "0:00:00", "0:01:00.000", "0:00:00.000", "10:00:00.5",
    ]  # fmt: skip
