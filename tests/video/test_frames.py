"""Wanted frames are those of sequential decoding, in the right colours, and made whole of fields."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.videos import moving, turned_copy, write_video
from twimager.options import Hdr
from twimager.video import frames as module
from twimager.video.color import to_bgr
from twimager.video.container import frames, opened
from twimager.video.frames import FrameSettings, read_frames

COUNT = 60
X265 = "log-level=none:keyint=12:min-keyint=12:bframes=3:repeat-headers=1"
FILMS: dict[str, tuple[str, dict[str, str]]] = {
    "closed.mkv": ("libx264", {"g": "12", "bf": "3"}),
    "open.mkv": ("libx264", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}),
    "open.mp4": ("libx264", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}),
    "open.ts": ("libx264", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}),
    "hevc.mkv": ("libx265", {"x265-params": X265 + ":open-gop=1"}),
    "refreshed.mkv": ("libx264", {"x264-params": "intra-refresh=1:keyint=12"}),
    "open.mpg": ("mpeg2video", {"g": "12", "bf": "2"}),
    "without_pts.avi": ("mpeg4", {"g": "12"}),
    "bare.h264": ("libx264", {"g": "12", "bf": "0"}),
}


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    shown = moving(COUNT)
    return {name: write_video(folder / name, shown, codec, **options) for name, (codec, options) in FILMS.items()}


def read(path: Path, pts: list[int], settings: FrameSettings | None = None) -> list[tuple[int, NDArray[Any]]]:
    return list(read_frames(path, pts, settings or FrameSettings(), pytest.fail))


def sequential(path: Path) -> dict[int, NDArray[Any]]:
    with opened(path) as (_, stream):
        context = stream.codec_context
        return {timed.pts: to_bgr(timed.frame, context, Hdr.SDR) for timed in frames(path, pytest.fail)}


@pytest.mark.parametrize("name", FILMS)
def test_a_frame_by_its_pts_is_that_of_sequential_decoding(films: dict[str, Path], name: str) -> None:
    path = films[name]
    decoded = sequential(path)
    assert len(decoded) == COUNT
    pts = sorted(decoded)
    for wanted in (pts[3::19], pts, *([one] for one in pts[::7])):
        found = read(path, wanted)
        assert [one for one, _ in found] == wanted
        assert all((pixels == decoded[one]).all() for one, pixels in found)


@pytest.mark.parametrize("name", ["open.ts", "open.mpg"])
def test_frames_of_joined_recordings_are_told_apart_by_their_numbers(
    tmp_path: Path, films: dict[str, Path], name: str
) -> None:
    path, once = tmp_path / name, list(sequential(films[name]).values())
    path.write_bytes(2 * films[name].read_bytes())
    assert len({timed.pts for timed in frames(path, pytest.fail)}) < 2 * COUNT
    wanted = [7, 50, COUNT + 7, COUNT + 50]
    found = list(read_frames(path, wanted, FrameSettings(), pytest.fail, joined=True))
    assert [number for number, _ in found] == wanted
    assert all((pixels == once[number % COUNT]).all() for number, pixels in found)


@pytest.mark.parametrize("name", ["closed.mkv", "open.ts", "hevc.mkv"])
def test_only_what_is_between_a_keyframe_and_a_wanted_frame_is_decoded(
    films: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pts = [timed.pts for timed in frames(films[name], pytest.fail)]
    decoded = []
    following = module.following

    def counted(*arguments: Any) -> Any:
        for timed in following(*arguments):
            decoded.append(timed.pts)
            yield timed

    monkeypatch.setattr(module, "following", counted)
    assert len(read(films[name], [pts[5], pts[50]])) == 2
    assert len(decoded) < COUNT / 2
    decoded.clear()
    assert len(read(films[name], pts[::2])) == COUNT / 2
    assert len(decoded) <= COUNT


def test_negative_pts_lead_to_their_frames(tmp_path: Path) -> None:
    path = tmp_path / "negative.ts"
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        stream = container.add_stream("libx264", Fraction(25), options={"g": "12"})
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for number, pixels in enumerate(moving(COUNT)):
            frame = av.VideoFrame.from_ndarray(pixels, "bgr24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number - 40, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    decoded = sequential(path)
    assert min(decoded) < 0
    found = read(path, sorted(decoded)[::5])
    assert [one for one, _ in found] == sorted(decoded)[::5]
    assert all((pixels == decoded[one]).all() for one, pixels in found)


@pytest.mark.parametrize("name", ["closed.mkv", "open.mp4", "open.mpg"])
def test_damaged_frames_and_those_that_refer_to_them_are_left_out_and_said(
    tmp_path: Path, films: dict[str, Path], name: str
) -> None:
    whole, content = sequential(films[name]), bytearray(films[name].read_bytes())
    middle = len(content) // 2
    content[middle : middle + 150] = np.random.default_rng(1).bytes(150)
    path, warnings = tmp_path / name, list[str]()
    path.write_bytes(content)
    found = list(read_frames(path, sorted(whole), FrameSettings(), warnings.append))
    alone = [pair for pts in whole for pair in read_frames(path, [pts], FrameSettings(), lambda _: None)]
    assert COUNT / 2 < len(found) < COUNT
    assert len(alone) >= len(found)
    assert all((pixels == whole[pts]).all() for pts, pixels in found + alone)
    assert len(warnings) == 1
    assert f"{COUNT - len(found)} wanted frames are damaged" in warnings[0]


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_frames_are_turned_as_the_file_says(tmp_path: Path, turn: int) -> None:
    plain = write_video(tmp_path / "plain.mp4", moving(4))
    path = turned_copy(plain, tmp_path / "turned.mp4", turn)
    (_, pixels), *_ = read(path, [0])
    (_, upright), *_ = read(plain, [0])
    assert (pixels == np.rot90(upright, turn // 90)).all()
