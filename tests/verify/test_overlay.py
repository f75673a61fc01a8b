"""Every gate, and what correlation does and does not see."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.support.pictures import cat, picture
from twimager.errors import Reason, Rejection
from twimager.fingerprint.phash import perceptual_hash
from twimager.fingerprint.working_image import WorkingImage
from twimager.geometry import scaling, translation
from twimager.image.pixels import frame_size
from twimager.options import Gates, Partial
from twimager.verify.agreement import Agreement, agreement
from twimager.verify.discrimination import MAX_UNEXPLAINED, unexplained_variance
from twimager.verify.overlay import Overlay, make_overlay
from twimager.verify.scores import MIN_CORRELATION, REHASH_SIDE, Scores, coarse_scores, failed_gate, score, tile_shift


def gray(name: str = "P1040518") -> np.ndarray:
    return np.asarray(cv2.cvtColor(picture(name), cv2.COLOR_BGR2GRAY)[:240, :320])


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        (Scores(0.9, 0.5, 90.0), None),
        (Scores(0.9, 0.5), None),
        (Scores(0.9, 0.5, 89.9), Reason.HASH),
        (Scores(MIN_CORRELATION - 0.01, 0.5, 90.0), Reason.CORRELATION),
        (Scores(0.9, 0.29, 90.0), Reason.OVERLAP),
        (Scores(0.9, 0.5, 90.0, 2.0), None),
        (Scores(0.9, 0.5, 90.0, 2.1), Reason.RESIDUAL),
    ],
)
def test_every_gate(scores: Scores, reason: Reason | None) -> None:
    found = failed_gate(scores, threshold=90, min_overlap=0.3, max_residual_shift=2.0)
    assert (found.reason if found else None) is reason


@pytest.mark.parametrize(
    ("different", "contradicted", "partial", "words"),
    [
        (0.4, 0.004, Partial.NONE, None),
        (0.4, 0.005, Partial.NONE, "40 % of the LR shows something else; --partial keeps the rest"),
        (0.8, 0.005, Partial.NONE, "80 % of the LR shows something else, 15 % the same"),
        (0.4, 0.005, Partial.MASK, None),
        (0.4, 0.005, Partial.BLACK, None),
        (0.8, 0.005, Partial.MASK, "80 % of the LR shows something else, 15 % the same"),
        (0.02, 0.001, Partial.CUT, "2.0 % of the LR shows something else; --partial mask keeps the rest"),
        (0.009, 0.001, Partial.CUT, None),
    ],
)
def test_what_may_differ(different: float, contradicted: float, partial: Partial, words: str | None) -> None:
    scores = Scores(0.9, 1, agreed=0.15, different=different, unjudged=0.1, contradicted=contradicted)
    found = failed_gate(scores, threshold=90, min_overlap=0.3, max_difference=0.004, partial=partial)
    assert found == (words and Rejection(Reason.DIFFERENT, words))


@pytest.mark.parametrize(
    "change", [{"agreed": 0.09}, {"correlation": 0.59}, {"coverage": 0.49, "different": 0.4}, {"different": 0.71}]
)
def test_a_mask_needs_enough_that_agrees(change: dict[str, float]) -> None:
    scores = replace(Scores(0.9, 1, agreed=0.3, different=0.4, unjudged=0.3, contradicted=0.1), **change)
    found = failed_gate(scores, threshold=90, min_overlap=0.3, max_difference=0.004, partial=Partial.MASK)
    assert found is not None
    assert found.reason is Reason.DIFFERENT


def seen(lr: np.ndarray, hr: np.ndarray) -> Overlay:
    """Two pictures of one size on each other."""
    size = frame_size(lr)
    overlay = make_overlay(WorkingImage(hr, size), WorkingImage(lr, size), scaling(1))
    assert overlay is not None
    return overlay


def scored(overlay: Overlay, lr_size: tuple[int, int]) -> Scores:
    """Return the scores of an overlay by its own agreement."""
    hr, lr = (np.asarray(overlay.common.cut(pixels), np.uint8) for pixels in (overlay.hr, overlay.lr))
    return score(overlay, lr_size, agreement(hr, lr))


def test_correlation_sees_the_picture_not_its_tones() -> None:
    assert coarse_scores(seen(gray(), gray())).correlation == pytest.approx(1, abs=1e-3)
    assert coarse_scores(seen(gray(), (gray() * 0.6 + 30).astype(np.uint8))).correlation > 0.95
    assert coarse_scores(seen(gray(), gray("P1040771"))).correlation < MIN_CORRELATION
    assert coarse_scores(seen(gray(), np.full_like(gray(), 90))).correlation == pytest.approx(0, abs=0.01)


def test_tones_and_blur_fit_an_lr_but_another_position_does_not() -> None:
    noisy = gray() * 0.6 + 30 + np.random.default_rng(1).normal(0, 6, gray().shape)
    lr = np.asarray(cv2.GaussianBlur(np.clip(noisy, 0, 255).astype(np.uint8), (0, 0), 1.5))
    assert unexplained_variance(seen(lr, gray())) < MAX_UNEXPLAINED / 3
    assert unexplained_variance(seen(lr, np.roll(gray(), 12, axis=1))) > 5 * MAX_UNEXPLAINED
    assert unexplained_variance(seen(lr, gray("P1040771"))) > 50 * MAX_UNEXPLAINED


def test_a_pair_is_scored_on_what_both_show() -> None:
    hr = cv2.cvtColor(cat(), cv2.COLOR_BGR2GRAY)[:288, :432]
    lr = cv2.resize(hr, (144, 96), interpolation=cv2.INTER_AREA)
    padded = cv2.copyMakeBorder(lr, 0, 0, 36, 0, cv2.BORDER_CONSTANT)
    overlay = make_overlay(
        WorkingImage(hr, (432, 288)), WorkingImage(padded, (180, 96)), translation(36, 0) @ scaling(1 / 3)
    )
    assert overlay is not None
    found = scored(overlay, (180, 96))
    assert found.coverage == pytest.approx(0.8)
    assert found.hash_agreement is not None
    assert found.hash_agreement > 99
    assert found.correlation > 0.98
    assert found.residual_shift == pytest.approx(0, abs=0.05)


def test_what_has_next_to_nothing_in_common_is_no_overlay() -> None:
    copy = WorkingImage(gray(), (320, 240))
    assert make_overlay(copy, copy, translation(310, 0)) is None


def test_the_residual_shift_is_measured_in_lr_pixels() -> None:
    shifted = cv2.warpAffine(gray(), translation(0.6, 0)[:2], (320, 240), flags=cv2.INTER_CUBIC)
    assert scored(seen(gray(), shifted), (320, 240)).residual_shift == pytest.approx(0.6, abs=0.2)
    assert scored(seen(gray(), shifted), (640, 480)).residual_shift == pytest.approx(1.2, abs=0.4)


def test_the_residual_shift_is_that_of_the_tile_of_more_contrast() -> None:
    clear, faint = gray()[:48, :48], gray()[:48, 100:148].astype(np.float32)
    noise = np.random.default_rng(3).normal(0, 1, (2, 48, 48))
    shifted = np.roll(faint, 4, axis=1)
    first, second = (
        np.hstack([clear, part + faint.std() * dirt]).astype(np.float32)
        for part, dirt in zip((faint, shifted), noise, strict=True)
    )
    assert (found := tile_shift(first[:, 48:], second[:, 48:])) is not None
    assert found > 3
    assert tile_shift(first, second) == pytest.approx(0, abs=0.1)


def test_a_logo_does_not_change_the_hash_and_another_picture_contradicts() -> None:
    with_logo = gray().copy()
    cv2.putText(with_logo, "TV 5", (220, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, 4)
    hashes = scored(seen(with_logo, gray()), (320, 240)).hash_agreement
    assert hashes is not None
    assert hashes > 98
    other = scored(seen(gray("P1040771"), gray()), (320, 240)).contradicted
    assert other is not None
    assert other > 0.1


def grainy(contrast: float, seed: int = 2) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 20, gray().shape)
    return np.clip(gray() * contrast + 80 + noise, 0, 255).astype(np.uint8)


def equal_bits(found: Agreement) -> float:
    """All equal bits of both hashes, in percent."""
    first, second = (perceptual_hash(picture, REHASH_SIDE) for picture in (found.fitted, found.lr))
    return 100 * (1 - (first ^ second).bit_count() / REHASH_SIDE**2)


@pytest.mark.parametrize("contrast", [0.1, 0.2, 0.6])
def test_bits_that_noise_decides_do_not_count(contrast: float) -> None:
    lr = grainy(contrast)
    found = agreement(gray(), lr)
    assert found.grain == pytest.approx(100, rel=0.1)  # of 400 at full size: the map has half the side
    hashes = score(seen(lr, gray()), (320, 240), found).hash_agreement
    assert hashes is not None
    assert hashes > max(99, equal_bits(found))


def test_without_noise_all_bits_count_and_where_the_picture_decides_few() -> None:
    faded = (gray("P1040771") * 0.6 + 30).astype(np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(gray(), (0, 0), 1.5))
    unlike = agreement(gray(), faded)
    for lr, found in ((blurred, agreement(gray(), blurred)), (faded, replace(unlike, grain=0.0))):
        assert found.grain == 0
        assert score(seen(lr, gray()), (320, 240), found).hash_agreement == equal_bits(found)
    assert score(seen(faded, gray()), (320, 240), replace(unlike, grain=1e6)).hash_agreement == equal_bits(unlike)


def test_scores_are_of_what_agrees() -> None:
    captioned = cv2.GaussianBlur(gray(), (0, 0), 1)
    captioned[150:] = gray("P1040771")[150:]
    overlay = seen(np.asarray(captioned), gray())
    found = score(overlay, (320, 240), agreement(gray(), np.asarray(captioned)))
    assert found.different == pytest.approx(90 / 240, abs=0.04)
    assert found.correlation > 0.9
    assert coarse_scores(overlay).correlation < 0.7
    assert found.residual_shift is not None
    assert found.residual_shift < 0.2
    assert found.similarity == pytest.approx(found.correlation * (1 - (found.different or 0)))


def page(seed: int) -> np.ndarray:
    """A page of text, unlike any other but in its layout."""
    rng = np.random.default_rng(seed)
    paper = np.full((480, 360), 245, np.uint8)
    for line in range(24):
        words = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz     "), 34))
        cv2.putText(paper, words, (14, 26 + 19 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 20, 1, cv2.LINE_AA)
    return paper


@pytest.mark.parametrize("contrast", [1, 0.6, 0.3])
def test_pages_of_text_are_discriminated(contrast: float) -> None:
    gates = {"threshold": 90, "min_overlap": 0.3, "max_difference": Gates.max_difference}
    for number in range(6):
        faded = np.rint(255 - contrast * (255.0 - page(number))).astype(np.uint8)
        assert failed_gate(scored(seen(page(number + 10), faded), (360, 480)), **gates) is not None
        assert failed_gate(scored(seen(page(number), faded), (360, 480)), **gates) is None
