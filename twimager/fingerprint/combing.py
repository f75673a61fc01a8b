"""Combing: alternate lines of a picture that are of different moments, as in an interlaced frame left as it is."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.image.pixels import Gray

# So many columns are looked at: teeth are several pixels wide.
COLUMNS = 100
# Sigma, in lines, of the Gaussian through which the vertical frequencies are seen, and the lines on either side of it.
SIGMA, REACH = 2.0, 6
# Cycles per line of teeth, and of what is compared with them: textures, noise and sharpening have as much there.
TEETH, COMPARED = 0.5, 0.35
# Powers are averaged over blocks of so many columns and lines, one every STEP.
BLOCK, STEP = (7, 15), 4
# A block is combed if its power at TEETH, in levels squared, is this, and so many times that at COMPARED.
MIN_POWER, MIN_RATIO = 2.0, 4.0
# Lines are doubled if those of each pair differ by less than this share of what the pairs do, squared: of combed frames
# only those do so that move up or down by 0.5 to 1.9 lines as a whole.
MAX_REPEATED = 0.1
# The LR is combed if a greater share of its blocks is: frames of a clip, combed where something moves, had 0.11 to 1.00
# of them; 1,148 pairs, photographs for the most part, had 0.05 at most that their HRs do not show as well.
MAX_COMBED = 0.08


def comb_share(*pictures: Gray) -> float:
    """Return the share, 0..1, of a picture that is combed; of several, where all of them are.

    Parameters
    ----------
    pictures : (h, w) of one shape, at full size: resampling blends the lines

    Examples
    --------
    A picture that moves to the right by three pixels between its fields:

    >>> from twimager.fingerprint.combing import comb_share
    >>> noise = np.random.default_rng(0).integers(0, 256, (80, 120), np.uint8)
    >>> frame = cv2.GaussianBlur(noise, (0, 0), 3)
    >>> combed = frame.copy()
    >>> combed[1::2] = np.roll(frame, 3, axis=1)[1::2]
    >>> comb_share(frame) < 0.01, comb_share(combed) > 0.7
    (True, True)
    """
    if any(map(has_doubled_lines, pictures)):
        return 0.0
    combed = np.logical_and.reduce([_combed_blocks(_columns(one)) for one in pictures])
    return float(combed.mean()) if combed.size else 0.0


def _columns(picture: Gray) -> NDArray[np.float32]:
    return np.ascontiguousarray(picture[:, :: max(1, picture.shape[1] // COLUMNS)], np.float32)


def has_doubled_lines(picture: Gray) -> bool:
    """Return whether every other line of a picture, (h, w), repeats the one above or below it.

    That makes steps as fields do; a picture that moves up or down by a line between its fields has nothing else.
    """
    steps = np.diff(_columns(picture), axis=0)
    squares = [float((steps[first::2] ** 2).sum()) for first in (0, 1)]
    return min(squares) < MAX_REPEATED * max(squares)


def _combed_blocks(columns: NDArray[np.float32]) -> NDArray[np.bool_]:
    teeth, compared = (_power(columns, frequency) for frequency in (TEETH, COMPARED))
    return np.asarray(teeth > np.maximum(MIN_POWER, MIN_RATIO * compared))


def _power(columns: NDArray[np.float32], frequency: float) -> NDArray[np.float32]:
    """Return the power of every block's waves of this many cycles per line, in levels squared.

    That is of noise the same at every frequency.
    """
    lines = np.arange(-REACH, REACH + 1)
    gaussian = np.exp(-(lines**2) / (2 * SIGMA**2))
    phases = 2 * np.pi * frequency * lines
    waves = [np.cos(phases)] if frequency == TEETH else [np.cos(phases) / np.sqrt(2), np.sin(phases) / np.sqrt(2)]
    seen = (cv2.filter2D(columns, cv2.CV_32F, (gaussian / gaussian.sum() * wave)[:, None]) for wave in waves)
    power = cv2.blur(sum(one * one for one in seen), BLOCK)
    return np.asarray(power[2 * STEP : -2 * STEP : STEP, STEP:-STEP:STEP], np.float32)
