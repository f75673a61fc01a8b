"""Enlargement: how much of a picture's spectrum holds detail, where an enlarged one holds next to nothing."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.image.pixels import Gray, Pixels, to_8_bit, to_gray

# So many rows, and columns, are looked at, in segments of SEGMENT pixels; noise is what the quietest tenth of them has.
LINES, SEGMENT, QUIET = 16, 128, 0.1
# Shares of the spectrum that are tried. From below a share's end to beyond it the power of pictures falls by
# OCTAVE decibels an octave, lens and all; of 109 photographs, compressed by a quality of 60 or not, by 5.4 more at
# most, of 9 in 10 by 2. Enlarged by a cubic or Lanczos kernel, by 1.5 to 4 times, saved as JPEG of a quality of 93 or
# not, more than 9 in 10 have LEAST_DROP; by a linear one as many from 2 times on, few below; with repeated pixels none.
SHARES = np.arange(0.2, 0.81, 0.05)
OCTAVE, LEAST_DROP = 9.0, 6.0
# Squared levels: below this power there is nothing in 8 bits.
LEAST_POWER = 0.05

_WINDOW = (np.hanning(SEGMENT) / np.linalg.norm(np.hanning(SEGMENT))).astype(np.float32)
_FREQUENCIES = np.arange(1, SEGMENT // 2) / (SEGMENT / 2)
_BELOW = [abs(_FREQUENCIES / share - 0.6) <= 0.15 for share in SHARES]
_BEYOND = [abs(_FREQUENCIES / share - 1.56) <= 0.44 for share in SHARES]
_DROP = np.array([low / low.sum() - high / high.sum() for low, high in zip(_BELOW, _BEYOND, strict=True)])
_USUAL_DROP = -OCTAVE * (_DROP @ np.log2(_FREQUENCIES))


def detail_share(pixels: Pixels | Gray) -> float:
    """Return the share, 0.2 to 1 along a side, of a picture's pixels that hold detail; 1 but for enlarged or soft ones.

    Parameters
    ----------
    pixels : (h, w) gray or (h, w, 3) BGR, uint8 or uint16, at full size: resampling changes the spectrum

    Examples
    --------
    >>> from twimager.fingerprint.enlargement import detail_share
    >>> noise = np.random.default_rng(0).integers(0, 256, (200, 300), np.uint8)
    >>> detail_share(noise), detail_share(cv2.resize(noise, (900, 600), interpolation=cv2.INTER_CUBIC)) < 0.6
    (1.0, True)
    """
    if min(pixels.shape[:2]) < SEGMENT:
        return 1.0
    drops = (_drops(pixels) + _drops(pixels.swapaxes(0, 1))) / 2
    return float(SHARES[drops.argmax()]) if drops.max() > LEAST_DROP else 1.0


def _drops(pixels: Pixels | Gray) -> NDArray[np.float64]:
    """Return by how many decibels more than usual the power along the rows falls at the end of each share."""
    lines = np.ascontiguousarray(pixels[:: max(1, len(pixels) // LINES)])
    gray = to_8_bit(to_gray(lines) if lines.ndim > 2 else lines)
    segments = gray[:, : gray.shape[1] // SEGMENT * SEGMENT].astype(np.float32).reshape(-1, SEGMENT)
    # The real and the imaginary part of each frequency follow one another, between those of none and of the highest.
    waves = cv2.dft(segments * _WINDOW, flags=cv2.DFT_ROWS)[:, 1:-1]
    power = (waves * waves).reshape(len(waves), -1, 2).sum(axis=2)
    quiet = max(1, round(QUIET * len(power)))
    noise = power[np.argpartition(power[:, SEGMENT // 4 :].sum(axis=1), quiet - 1)[:quiet]].mean(axis=0)
    decibels = 10 * np.log10(np.maximum(power.mean(axis=0) - noise, LEAST_POWER))
    return np.asarray(_DROP @ decibels - _USUAL_DROP, np.float64)
