"""What Python programs call: align two images, find the pairs of two folders, search a folder.

The package `twimager` exports all of it; docs/api.md shows how it is used.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.compare.alignment import THOROUGH
from twimager.errors import AlignmentError, Reason, Rejection, UnreadableImage, require
from twimager.fingerprint.cache import Store
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import Fingerprint, Recipe
from twimager.fingerprint.working_image import drop_working_images
from twimager.geometry import translation
from twimager.image.decode import LIBRARY_ERRORS, complaint, in_memory
from twimager.image.decoders import decoders
from twimager.image.files import require_files
from twimager.image.pixels import frame_size
from twimager.options import (
    AlignSettings,
    Border,
    Framing,
    Gates,
    Method,
    Options,
    PairSettings,
    ProposeSettings,
    ReadSettings,
    RunSettings,
    Search,
    SelectSettings,
    parse_scale,
    processors,
)
from twimager.output.layout import check_folders
from twimager.output.render import render_hr
from twimager.pairing import rounds
from twimager.pairing.decide import Decider
from twimager.pairing.evaluate import evaluate_all, evaluate_best
from twimager.pairing.read import Reader
from twimager.pairing.workers import Evaluators
from twimager.pairs import VerifiedPair
from twimager.propose.proposal import Proposal, Source
from twimager.report.ledger import Ledger
from twimager.report.records import how_far
from twimager.runtime.console import Console
from twimager.runtime.pool import worker_pool
from twimager.search.job import SearchOptions, open_searcher
from twimager.search.ranking import Criteria, Hit

# (h, w) gray or (h, w, 3) BGR as OpenCV reads it, uint8 or uint16; or a file.
Image = NDArray[Any] | str | os.PathLike[str]
Folder = str | os.PathLike[str]
Scale = int | float | Fraction
MethodName = Literal["transform", "warp", "flow", "auto"]
SearchName = Literal["auto", "hash", "features"]

# FAISS's threads wait for each other at full speed unless OpenMP is told not to before FAISS is imported.
WAIT_POLICY, PASSIVE = "OMP_WAIT_POLICY", "PASSIVE"

log = logging.getLogger("twimager")
log.addHandler(logging.NullHandler())


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
        return _between_files(self._pair.match.matrix, hr, lr)

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
            scores.correlation, scores.coverage, scores.agreement, scores.residual_shift, scores.color_distance
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
        with _call, _file(hr, "hr", proposal.hr.frame[2:]) as path, _named(hr, "hr"):
            image = replace(proposal.hr, path=path)
            whole = self._pair._replace(proposal=proposal._replace(hr=image), window=proposal.lr.frame)
            rendered = render_hr(whole, framing, None)
        return rendered[..., 0] if isinstance(hr, np.ndarray) and hr.ndim == 2 else rendered

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


def align(
    hr: Image, lr: Image, *, method: MethodName = "transform", mirror: bool = True, threshold: float = 90.0,
    min_overlap: float = 0.3, max_error: float | None = None, max_color_distance: float | None = None,
) -> Alignment:  # fmt: skip
    """Find how an HR lies on an LR, to a fraction of a pixel, and verify that both show the same picture.

    Parameters
    ----------
    hr, lr : (h, w) gray or (h, w, 3) BGR as OpenCV reads it, uint8 or uint16, or a file; arrays stay in memory
    method : the motion model: "transform" (affine), "warp" (perspective), "flow" or "auto" (and a displacement field)
    mirror : whether the HR may be the mirror image
    threshold : percent, 25 to 100, of the 256-bit hashes of the aligned pair that must agree
    min_overlap : share of the LR frame that the HR must cover
    max_error : LR pixels that the aligned pair may be shifted by; by default it goes by the LR's size
    max_color_distance : mean CIE 1976 Delta E that their colours may be apart; None does not compare them

    Raises
    ------
    AlignmentError
        If they do not show the same picture; its `rejection` says why.
    UnreadableImage
        If a file can't be read, or takes more memory than there is.
    UsageError, ValueError, TypeError
        If a parameter is none of the above.

    Examples
    --------
    >>> import twimager
    >>> alignment = twimager.align("examples/HR/P1040518.jpg", "examples/LR/still_07.jpg")
    >>> alignment.matrix.shape, alignment.scores.correlation > 0.8, alignment.mirrored
    ((3, 3), True, False)
    """
    gates = Gates(threshold, min_overlap, max_error, max_color_distance=max_color_distance)
    settings = PairSettings(AlignSettings(Method(method)), gates)
    with _call, _file(lr, "lr") as lr_path, _file(hr, "hr") as hr_path:
        with _named(lr, "lr"):
            lr_image = _fingerprint(lr_path, THOROUGH._replace(srgb=False))
        with _named(hr, "hr"):
            hr_image = _fingerprint(hr_path, THOROUGH)
        mirrorings = (False, True) if mirror else (False,)
        proposals = [Proposal(lr_image, hr_image, Source.FEATURES, mirrored) for mirrored in mirrorings]
        found = evaluate_best([*proposals, Proposal(lr_image, hr_image, Source.HASH)], settings)
    if not found.pairs:
        raise AlignmentError(max(found.rejected, key=how_far).rejection)
    return Alignment(_without_features(found.pairs[0]))


def find_pairs(
    lr_dir: Folder, hr_dir: Folder, *, recursive: bool = False, search: SearchName = "auto", distance: int = 12,
    mirror: bool = True, method: MethodName = "transform", scale: Scale = 2, threshold: float = 90.0,
    min_overlap: float = 0.3, max_error: float | None = None, min_native_scale: float | None = None,
    max_color_distance: float | None = None, all_matches: bool = False, save: Folder | None = None,
    jobs: int | None = None,
) -> Generator[Pair, None, None]:  # fmt: skip
    """Yield the pairs that the command line would write, each once nothing can change it; write nothing.

    The parameters are the command line's options of these names. Files that can't be read are left out, and named by
    the logger "twimager".

    Parameters
    ----------
    lr_dir, hr_dir : the folders of the LRs and of the HRs
    recursive : whether to look into the folders inside them
    search : what proposes pairs: "auto", "hash" or "features"
    distance : bits, 0 to 64, in which the 64-bit hashes of a pair may differ to be proposed by them
    mirror : whether mirrored pairs are looked for
    method, threshold, min_overlap, max_error, max_color_distance : see `align`
    scale : output pixels per LR pixel, along a side
    min_native_scale : HR source pixels, along a side, that each output pixel must come from
    all_matches : yield every pair that passes, however often an image is in one
    save : a file that keeps fingerprints and evaluations for the next call
    jobs : how many workers; one a processor by default

    Raises
    ------
    UsageError, ValueError
        If a parameter is none of the above, at once; that a folder has no files, with the first pair.

    Examples
    --------
    >>> import twimager
    >>> pairs = {pair.lr.name: pair.hr.name for pair in twimager.find_pairs("examples/LR", "examples/HR")}
    >>> len(pairs), pairs["still_07.jpg"]
    (8, 'P1040518.jpg')
    """
    options = Options(
        Path(lr_dir), Path(hr_dir), ReadSettings(recursive), ProposeSettings(Search(search), distance, mirror),
        PairSettings(
            AlignSettings(Method(method)),
            Gates(threshold, min_overlap, max_error, min_native_scale, max_color_distance),
            Framing(parse_scale(str(scale))),
        ),
        SelectSettings(all_matches),
        run=RunSettings(dry=True, save=Path(save) if save else None, jobs=processors() if jobs is None else jobs),
    )  # fmt: skip
    check_folders(options)
    return _pairs(options)


def search(
    query: Image, folder: Folder, *, top: int = 5, min_score: float = 0.0, mirror: bool = True, recursive: bool = False,
    save: Folder | None = None, jobs: int | None = None,
) -> list[SearchResult]:  # fmt: skip
    """Find an image in a folder: as a copy, in another size or framing, as a part, mirrored, faded, recompressed.

    The folder is read anew each time; with `save` only what has changed in it.

    Parameters
    ----------
    query : (h, w) gray or (h, w, 3) BGR as OpenCV reads it, uint8 or uint16, or a file
    folder : where to look
    top : how many results at most
    min_score : the least score of a result, 0..1
    mirror : whether mirror images are looked for where nothing else shows the query
    recursive, save, jobs : see `find_pairs`

    Returns
    -------
    what can be aligned to the query, the best first, then what only looks like it

    Raises
    ------
    UnreadableImage
        If the query can't be read.
    UsageError, ValueError, TypeError
        If a parameter is none of the above, or the folder has no files.

    Examples
    --------
    >>> import twimager
    >>> twimager.search("examples/LR/still_07.jpg", "examples/HR", top=1)[0].path.name
    'P1040518.jpg'
    """
    require(top >= 1, "top must be 1 or more")
    require(0 <= min_score <= 1, "min_score must be 0 to 1")
    require(jobs is None or jobs >= 1, "jobs must be 1 or more workers")
    options = SearchOptions(
        Path(folder), Criteria(top, min_score, mirror=mirror), recursive, Path(save) if save else None,
        processors() if jobs is None else jobs,
    )  # fmt: skip
    with _call, _file(query, "query") as path, open_searcher(options, _Log(), queries=1) as searcher:
        answer = searcher.search_file("query", path)
    if answer.query is None:
        with _named(query, "query"):
            raise UnreadableImage(answer.error)
    return [_result(hit, answer.query) for hit in answer.hits]


def _pairs(options: Options) -> Generator[Pair, None, None]:
    console, jobs = _Log(), options.run.jobs
    evaluate = evaluate_all if options.select.all_matches else evaluate_best
    with (
        _call,
        console.progress(0) as progress,
        worker_pool(jobs) as pool,
        Store(options.run.save, console.warn) as store,
        Evaluators(pool, jobs, partial(evaluate, settings=options.pair)) as evaluators,
    ):
        lrs, hrs = (
            require_files([folder], options.read.recursive, console.warn) for folder in (options.lr, options.hr)
        )
        reader = Reader(pool, jobs, console, progress, store=store, ledger=Ledger(console.detail))
        decider = Decider(reader, evaluators, options.pair, options.select.all_matches)
        for pair in rounds.find_pairs(lrs, hrs, options, reader, decider):
            yield Pair(_without_features(pair))


def _without_features(pair: VerifiedPair) -> VerifiedPair:
    lr, hr = pair.proposal.images
    return pair._replace(proposal=pair.proposal._replace(lr=lr.without_features, hr=hr.without_features))


def _result(hit: Hit, query: Fingerprint) -> SearchResult:
    found, scores = hit.alignment, hit.scores
    return SearchResult(
        hit.image.path, hit.copies, hit.score, scores.ssim, scores.features, scores.colors,
        _between_files(found.matrix, hit.image, query) if found else None,
        bool(found and found.mirrored), found.overlap if found else 0.0, found.inliers if found else 0,
    )  # fmt: skip


def _between_files(matrix: NDArray[np.float64], hr: Fingerprint, lr: Fingerprint) -> NDArray[np.float64]:
    """Return the matrix between whole frames, black bars and all."""
    return translation(*lr.picture[:2]) @ matrix @ translation(-hr.picture.x, -hr.picture.y)


def _fingerprint(path: Path, recipe: Recipe) -> Fingerprint:
    try:
        image = fingerprint(path, recipe)
    except LIBRARY_ERRORS as error:
        raise UnreadableImage(complaint(error)) from error
    if image.is_flat:
        raise AlignmentError(Rejection(Reason.FLAT))
    return image


@contextmanager
def _file(image: Image, name: str, size: tuple[int, int] | None = None) -> Iterator[Path]:
    """Yield the path of an image, of an array one that stands for it; ValueError if that has another size."""
    if not isinstance(image, np.ndarray):
        yield Path(image)
        return
    if image.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"{name} has values of {image.dtype}; they must be uint8 or uint16")
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)) or not image.size:
        raise ValueError(f"{name} is an array of shape {image.shape}; it must be (h, w) or (h, w, 3)")
    if size and frame_size(image) != size:
        raise ValueError(f"{name} is {image.shape[1]}x{image.shape[0]}; {size[0]}x{size[1]} was aligned")
    with in_memory(np.ascontiguousarray(image)) as path:
        yield path


@contextmanager
def _named(image: Image, name: str) -> Iterator[None]:
    """Name the image in the errors that are raised for it."""
    try:
        yield
    except UnreadableImage as error:
        raise type(error)(f"{name if isinstance(image, np.ndarray) else os.fspath(image)}: {error}") from error


class _Log(Console):
    """Passes messages on to the logger; shows nothing."""

    def __init__(self) -> None:
        super().__init__(quiet=True)

    def warn(self, message: str) -> None:
        """Log what went wrong with one file or pair."""
        log.warning("%s", message)

    def note(self, message: str) -> None:
        """Log what is no problem but good to know."""
        log.info("%s", message)

    def detail(self, message: str) -> None:
        """Log what only a curious user wants to know."""
        log.debug("%s", message)


class _Call:
    """What calls change in the process, as long as one goes on: OpenCV's threads would compete with the workers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = self._threads = 0
        self._policy: str | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._calls:
                self._threads, self._policy = cv2.getNumThreads(), os.environ.get(WAIT_POLICY)
                os.environ.setdefault(WAIT_POLICY, PASSIVE)
                cv2.setNumThreads(1)
            self._calls += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._calls -= 1
            if self._calls:
                return
            cv2.setNumThreads(self._threads)
            if self._policy is None:
                os.environ.pop(WAIT_POLICY, None)
            decoders.close()
            drop_working_images()


_call = _Call()
