"""What the windows show, and what their keys mean."""

import cv2
import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.pictures import cat
from twimager.align.matching import CERTAIN_INLIERS, RANSAC_TOLERANCE
from twimager.geometry import transform_points
from twimager.image.pixels import frame_size
from twimager.propose.proposal import Source
from twimager.run import writer
from twimager.windows import keys, viewer
from twimager.windows.keys import key_name
from twimager.windows.pair_preview import matched_points, preview
from twimager.windows.panels import (
    FONT,
    FONT_SCALE,
    LINE_HEIGHT,
    MAX_SIDE,
    Display,
    drawn_matches,
    drawn_pair,
    hatched,
    shown_size,
    text,
    wrapped,
)
from twimager.windows.viewer import Action, read_action

HR = cat()[:200, :300]
LR = cv2.resize(HR, (150, 100), interpolation=cv2.INTER_AREA)


def test_panels_stand_side_by_side_under_their_labels() -> None:
    drawn = drawn_pair(LR, HR)
    assert drawn.shape == (200 + LINE_HEIGHT, 900, 3)
    body = drawn[LINE_HEIGHT:]
    assert (body[:, 300:600] == HR).all()
    assert np.abs(body[:, 600:].astype(int) - (body[:, :300].astype(int) + body[:, 300:600]) / 2).max() <= 1
    assert all(drawn[:LINE_HEIGHT, left : left + 300].max() > 200 for left in (0, 300, 600))


def test_the_hr_takes_the_lrs_place_while_it_blinks() -> None:
    drawn = drawn_pair(LR, HR, swapped=True)[LINE_HEIGHT:]
    assert (drawn[:, :300] == HR).all()
    assert (drawn[:, 600:] == drawn_pair(LR, HR)[LINE_HEIGHT:, 600:]).all()


def test_the_difference_takes_the_blends_place() -> None:
    lr, hr = np.full((200, 300, 3), 100, np.uint8), np.full((200, 300, 3), 110, np.uint8)
    drawn = drawn_pair(lr, hr, difference=True)
    assert [int(drawn[-1, column, 0]) for column in (150, 450, 750)] == [100, 110, 40]


def test_one_side_stands_alone() -> None:
    assert (drawn_pair(None, HR)[LINE_HEIGHT:] == HR).all()
    assert drawn_pair(LR, None).shape == (200 + LINE_HEIGHT, 300, 3)


def test_large_and_16_bit_pairs_are_shown_to_fit() -> None:
    hr = np.full((2000, 3000, 3), 65535, np.uint16)
    drawn = drawn_pair(np.full((1000, 1500, 3), 255, np.uint8), hr)
    assert drawn.dtype == np.uint8
    assert drawn.shape[1] <= 1800
    assert drawn[-1, 0, 0] == 255


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [
        ((300, 200), None, (300, 200)),
        ((100, 80), None, (300, 240)),
        ((1200, 100), None, (500, 42)),
        ((20, 680), None, (20, 680)),
        ((300, 200), 2.5, (750, 500)),
        ((300, 200), 0.001, (1, 1)),
        ((300, 100), 1e9, (MAX_SIDE, round(MAX_SIDE / 3))),
    ],
)
def test_the_size_on_the_screen(size: tuple[int, int], scale: float | None, expected: tuple[int, int]) -> None:
    assert shown_size(size, Display(scale)) == expected


def test_the_lr_is_enlarged_by_the_given_interpolation() -> None:
    shown = {name: drawn_pair(LR, HR, Display(interpolation=name))[LINE_HEIGHT:, :300] for name in
             ("cubic", "lanczos", "area")}  # fmt: skip
    assert (shown["area"][::2, ::2] == LR).all()
    assert (shown["cubic"] == cv2.resize(LR, (300, 200), interpolation=cv2.INTER_CUBIC)).all()
    assert (shown["lanczos"] == cv2.resize(LR, (300, 200), interpolation=cv2.INTER_LANCZOS4)).all()


@pytest.mark.parametrize("words", ["a few words that are said here " * 5, "x" * 200, "a " + "y" * 90 + " b", "", "i"])
def test_text_is_never_cut(words: str) -> None:
    lines = wrapped(words, 300)
    assert "".join(lines).replace(" ", "") == words.replace(" ", "")
    assert all(cv2.getTextSize(line, FONT, FONT_SCALE, 1)[0][0] <= 300 for line in lines)
    assert frame_size(text(words, 316)) == (316, LINE_HEIGHT * len(lines))


def test_matches_are_drawn_from_feature_to_feature() -> None:
    flat = np.zeros((100, 150, 3), np.uint8)
    drawn = drawn_matches(flat, flat[:50, :75], np.array([[75.0, 50.0]]), np.array([[37.0, 25.0]]), (1000, 200))
    body = drawn[LINE_HEIGHT:].max(axis=2) > 100
    rows, columns = np.nonzero(body)
    # Either picture is 300 wide and 200 high there, its middle at 150 from its own edge of the row.
    assert (columns.min(), columns.max()) == pytest.approx((150, 849), abs=5)
    assert (rows.min(), rows.max()) == pytest.approx((100, 100), abs=5)
    assert body[:, 500].any()


@pytest.mark.slow
@pytest.mark.parametrize("mirrored", [False, True])
def test_what_is_drawn_are_the_inliers(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch, mirrored: bool
) -> None:
    if mirrored:
        for path in folders.hr.iterdir():
            cv2.imwrite(str(path), cv2.imread(str(path))[:, ::-1])
    pairs = []
    monkeypatch.setattr(viewer, "require_display", lambda _: None)
    monkeypatch.setattr(viewer, "read_action", lambda _: Action.ACCEPT)
    monkeypatch.setattr(writer, "preview", lambda pair, options: pairs.append(pair) or preview(pair, options))
    assert run(*folders.flags, "--debug").code == 0
    assert len(pairs) == 2
    for pair in pairs:
        assert pair.proposal.mirrored == mirrored
        hr_points, lr_points = matched_points(pair)
        if pair.proposal.source is Source.FRAME:
            assert len(hr_points) > CERTAIN_INLIERS
        else:
            assert len(hr_points) == pytest.approx(pair.match.inliers, abs=3)
        assert np.abs(transform_points(pair.match.matrix, hr_points) - lr_points).max() < RANSAC_TOLERANCE


# What OpenCV's windows return on Linux (GTK, then Qt with the number pad), Windows and macOS.
CODES = {
    keys.LEFT: (0xFF51, 0xFF96, 0x250000, 0xF702),
    keys.RIGHT: (0xFF53, 0xFF98, 0x270000, 0xF703),
    keys.UP: (0xFF52, 0xFF97, 0x260000, 0xF700),
    keys.DOWN: (0xFF54, 0xFF99, 0x280000, 0xF701),
    keys.PAGE_UP: (0xFF55, 0xFF9A, 0x210000, 0xF72C),
    keys.PAGE_DOWN: (0xFF56, 0xFF9B, 0x220000, 0xF72D),
    keys.HOME: (0xFF50, 0xFF95, 0x240000, 0xF729),
    keys.END: (0xFF57, 0xFF9C, 0x230000, 0xF72B),
    keys.DELETE: (0xFFFF, 0xFF9F, 0x2E0000, 0xF728, 127, 8, 0xFF08, 0x10FFFF),
    keys.ESCAPE: (27, 0x10001B),
    keys.SPACE: (32,),
    "d": (ord("d"), ord("D"), 0x100000 + ord("d")),
}


@pytest.mark.parametrize("name", CODES)
def test_a_key_has_one_name_everywhere(name: str) -> None:
    assert {key_name(code) for code in CODES[name]} == {name}


def test_other_keys_are_none_of_these() -> None:
    assert not {key_name(code) for code in (13, 0xFFBE, 0x700000, 0xFFE1)} & {*CODES, ""}


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        (27, Action.ABORT),
        (ord("n"), Action.SKIP),
        (0xFFFF, Action.SKIP),
        (0x2E0000, Action.SKIP),
        (0xF728, Action.SKIP),
        (32, Action.ACCEPT),
        (13, Action.ACCEPT),
    ],
)
def test_keys_of_debug(monkeypatch: pytest.MonkeyPatch, key: int, answer: Action) -> None:
    codes = iter([-1, key])
    for name in ("namedWindow", "imshow"):
        monkeypatch.setattr(viewer.cv2, name, lambda *_: None)
    monkeypatch.setattr(viewer.cv2, "waitKeyEx", lambda _: next(codes))
    monkeypatch.setattr(viewer.cv2, "getWindowProperty", lambda *_: 1.0)
    assert read_action(HR) is answer


@pytest.mark.parametrize("toolkit", ["GTK", "Qt"])
def test_closing_the_window_aborts(monkeypatch: pytest.MonkeyPatch, toolkit: str) -> None:
    def gone(*_: object) -> float:
        if toolkit == "Qt":
            raise cv2.error("NULL guiReceiver")
        return 0.0

    for name in ("namedWindow", "imshow"):
        monkeypatch.setattr(viewer.cv2, name, lambda *_: None)
    monkeypatch.setattr(viewer.cv2, "waitKeyEx", lambda _: -1)
    monkeypatch.setattr(viewer.cv2, "getWindowProperty", gone)
    assert read_action(HR) is Action.ABORT


def test_only_what_differs_is_hatched() -> None:
    differs = np.zeros((10, 15), bool)
    differs[:5, :5] = True
    drawn = hatched(HR, differs)
    changed = (drawn != HR).any(axis=2)
    assert changed[:100, :100].mean() > 0.99
    assert not changed[100:].any()
    assert not changed[:, 100:].any()
    one = drawn_pair(None, HR, differs=differs)[LINE_HEIGHT:]
    assert (one == drawn).all()
