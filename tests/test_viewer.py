"""What the debug window shows and what its keys mean."""

import cv2
import numpy as np
import pytest
from pictures import cat

from twimager import viewer
from twimager.viewer import LABEL_HEIGHT, Answer, ask, panels


def test_panels_stand_side_by_side_under_a_title() -> None:
    hr = cat()[:200, :300]
    lr = cv2.resize(hr, (150, 100), interpolation=cv2.INTER_AREA)
    drawn = panels(lr, hr, "a title")
    assert drawn.shape == (200 + 2 * LABEL_HEIGHT, 900, 3)
    body = drawn[2 * LABEL_HEIGHT :]
    assert (body[:, :300] == hr).all()
    assert np.abs(body[:, 600:].astype(int) - (body[:, :300].astype(int) + body[:, 300:600]) / 2).max() <= 1
    assert drawn[:LABEL_HEIGHT].max() > 200


def test_large_and_16_bit_pairs_are_shown_to_fit() -> None:
    hr = np.full((2000, 3000, 3), 65535, np.uint16)
    drawn = panels(np.full((1000, 1500, 3), 255, np.uint8), hr, "")
    assert drawn.dtype == np.uint8
    assert drawn.shape[1] <= 1800
    assert drawn[-1, 0, 0] == 255


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        (27, Answer.ABORT),
        (ord("n"), Answer.SKIP),
        (0xFFFF, Answer.SKIP),
        (0x2E0000, Answer.SKIP),
        (0xF728, Answer.SKIP),
        (32, Answer.ACCEPT),
        (13, Answer.ACCEPT),
    ],
)
def test_keys(monkeypatch: pytest.MonkeyPatch, key: int, answer: Answer) -> None:
    keys = iter([-1, key])
    for name in ("namedWindow", "imshow"):
        monkeypatch.setattr(viewer.cv2, name, lambda *_: None)
    monkeypatch.setattr(viewer.cv2, "waitKeyEx", lambda _: next(keys))
    monkeypatch.setattr(viewer.cv2, "getWindowProperty", lambda *_: 1.0)
    assert ask(cat(), cat(), "") is answer


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
    assert ask(cat(), cat(), "") is Answer.ABORT
