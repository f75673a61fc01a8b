"""What the calls return: alignments, pairs and search results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twimager.api.context import Image, call, image_file, naming
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.geometry import translation
from twimager.options import (
    Border,
    Framing,
    parse_scale,
)
from twimager.output.mask import render_mask
from twimager.output.render import output_size, render_hr
from twimager.pairs import VerifiedPair

Scale = int | float | Fraction


class Scores(NamedTuple):
    """How similar an LR and the aligned HR are; None where there was nothing to measure by, or it was not measured.

    Attributes
    ----------
    correlation : zero-mean normalised correlation of the locally normalised luma of what both show, -1..1
    coverage : share of the LR frame that the HR covers, 0..1
    hash_agreement : equal bits of the 256-bit perceptual hashes of what both show, in percent
    residual_shift : shift that is left between LR and HR, the median over tiles, in LR pixels
    color_distance : mean CIE 1976 Delta E of the local colours, exposure and white balance fitted; measured only
        where `max_color_distance` is given
    """

    correlation: float
    coverage: float
    hash_agreement: float | None
    residual_shift: float | None
    color_distance: float | None


@dataclass(frozen=True, eq=False, repr=False)
class Alignment:
    """How an HR lies on an LR, verified. Positions are pixel centres, the first at (0, 0), of the whole frames."""

    _pair: VerifiedPair

    @cached_property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 3): takes HR pixels (x, y, 1) to LR pixels; affine unless `method` allows a perspective."""
        lr, hr = self._pair.proposal.images
        return between_files(self._pair.match.matrix, hr, lr)

    @cached_property
    def displacement(self) -> NDArray[np.float32] | None:
        """(h, w, 2), on the LR's grid, in LR pixels right and down; None without a significant one, or a method for it.

        The LR shows at p what the HR shows where the matrix takes to p + displacement[p].
        """
        found, lr = self._pair.match.displacement, self._pair.proposal.lr
        if found is None:
            return None
        return np.moveaxis(found.on(translation(*lr.picture[:2])).shifts(lr.frame[2:]), 0, 2)

    @property
    def scores(self) -> Scores:
        """How similar the LR and the aligned HR are."""
        scores = self._pair.scores
        return Scores(
            scores.correlation, scores.coverage, scores.hash_agreement, scores.residual_shift, scores.color_distance
        )

    @property
    def inliers(self) -> int | None:
        """How many features agree with the first transform; None if both show the same frame, where none are needed."""
        return self._pair.match.inliers

    @property
    def mirrored(self) -> bool:
        """Whether the HR is the LR's mirror image."""
        return self._pair.proposal.mirrored

    @property
    def negative(self) -> bool:
        """Whether the HR is the LR's negative."""
        return self._pair.proposal.negative

    @property
    def window(self) -> tuple[int, int, int, int]:
        """(x, y, width, height): the largest rectangle of LR pixels that the HR covers."""
        return self._pair.window.moved(*self._pair.proposal.lr.picture[:2])

    def warp(self, hr: Image, scale: Scale = 2) -> NDArray[Any]:
        """Return the HR on the LR's grid, resampled once, as the command line writes it with `--border keep`.

        Parameters
        ----------
        hr : the HR that was aligned, (h, w) or (h, w, 3), uint8 or uint16, or its file
        scale : pixels of the result per LR pixel, along a side

        Returns
        -------
        `scale` times as wide and high as the LR, of the HR's type and channels; black where the HR shows nothing

        Raises
        ------
        ValueError, TypeError
            If an array is none of these, or not of the size of the HR that was aligned.
        UnreadableImage
            If a file can't be read, or is of another size.
        UsageError
            If the scale is not above 0 and at most 32.

        Examples
        --------
        >>> import cv2, twimager
        >>> hr, lr = cv2.imread("examples/HR/P1040518.jpg"), cv2.imread("examples/LR/still_07.jpg")
        >>> alignment = twimager.align(hr, lr)
        >>> lr.shape, alignment.warp(hr, scale=4).shape
        ((118, 176, 3), (472, 704, 3))
        """
        framing = Framing(parse_scale(str(scale)), Border.KEEP)
        proposal = self._pair.proposal
        with call, image_file(hr, "hr", proposal.hr.frame[2:]) as path, naming(hr, "hr"):
            image = replace(proposal.hr, path=path)
            whole = self._pair._replace(proposal=proposal._replace(hr=image), window=proposal.lr.frame)
            rendered = render_hr(whole, framing, None)
        return rendered[..., 0] if isinstance(hr, np.ndarray) and hr.ndim == 2 else rendered

    def mask(self, scale: Scale = 2) -> NDArray[np.uint8]:
        """Return where both agree, on the grid of `warp`.

        Parameters
        ----------
        scale : pixels of the result per LR pixel, along a side

        Returns
        -------
        (h, w) : 255 where both agree, 0 where they differ or the HR shows nothing; in between, both agree
        """
        whole = self._pair._replace(window=self._pair.proposal.lr.frame)
        return render_mask(whole, output_size(whole.window, Framing(parse_scale(str(scale))).scale))

    def __repr__(self) -> str:
        values = (f"{name}={value:.4g}" for name, value in self.scores._asdict().items() if value is not None)
        return f"<{type(self).__name__} {' '.join([*values, f'inliers={self.inliers}'])}>"


class Pair(Alignment):
    """A pair of files, and how the HR lies on the LR."""

    @property
    def lr(self) -> Path:
        """The LR's file."""
        return self._pair.proposal.lr.path

    @property
    def hr(self) -> Path:
        """The HR's file."""
        return self._pair.proposal.hr.path

    @property
    def native_scale(self) -> float:
        """HR source pixels, along a side, per output pixel of the scale that was given; below 1 the HR is enlarged."""
        return self._pair.native_scale

    @property
    def rivals(self) -> tuple[Path, ...]:
        """Other HRs that show the LR as well."""
        return self._pair.rivals


@dataclass(frozen=True, eq=False)
class SearchResult:
    """An image that shows the query or, without a matrix, only looks like it.

    Attributes
    ----------
    path : its file
    copies : other files of the same pixels
    score : the mean of `ssim`, `features` and `colors`, 0..1
    ssim : structural similarity, 0..1
    features : share of matching features, 0..1
    colors : correlation of the colour histograms, 0..1
    matrix : (3, 3), takes pixels of the image to pixels of the query; None if it could not be aligned
    mirrored : whether it is the query's mirror image
    shown : the share of the query's or of the image's frame that is in both, whichever is greater; 0 without a matrix
    inliers : features that agree with the matrix
    """

    path: Path
    copies: tuple[Path, ...]
    score: float
    ssim: float
    features: float
    colors: float
    matrix: NDArray[np.float64] | None
    mirrored: bool
    shown: float
    inliers: int


def between_files(matrix: NDArray[np.float64], hr: Fingerprint, lr: Fingerprint) -> NDArray[np.float64]:
    """Return the matrix between whole frames, black bars and all."""
    return translation(*lr.picture[:2]) @ matrix @ translation(-hr.picture.x, -hr.picture.y)
