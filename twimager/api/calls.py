"""What Python programs call: align two images, find the pairs of two folders, search a folder.

The package `twimager` exports all of it; docs/api.md shows how it is used.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Literal

from twimager.api.context import Image, LogConsole, call, image_file, naming
from twimager.api.results import Alignment, Pair, Scale, SearchResult, between_files
from twimager.compare.alignment import THOROUGH
from twimager.errors import AlignmentError, Reason, Rejection, UnreadableImage, require
from twimager.fingerprint.cache import Store
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import Fingerprint, Recipe
from twimager.image.decode import LIBRARY_ERRORS, complaint
from twimager.image.files import require_files
from twimager.options import (
    AlignSettings,
    Framing,
    Gates,
    Method,
    Options,
    PairSettings,
    Partial,
    ProposeSettings,
    ReadSettings,
    RunSettings,
    Search,
    SelectSettings,
    parse_scale,
    processors,
)
from twimager.output.layout import check_folders
from twimager.pairing import rounds
from twimager.pairing.decide import Decider
from twimager.pairing.evaluate import evaluate_all, evaluate_best
from twimager.pairing.read import Reader
from twimager.pairing.workers import Evaluators
from twimager.pairs import VerifiedPair
from twimager.propose.proposal import Proposal, Source
from twimager.report.ledger import Ledger
from twimager.report.records import how_far
from twimager.runtime.pool import worker_pool
from twimager.search.job import SearchOptions, open_searcher
from twimager.search.ranking import Criteria, Hit

Folder = str | os.PathLike[str]
MethodName = Literal["transform", "warp", "flow", "auto"]
SearchName = Literal["auto", "hash", "features", "names"]
PartialName = Literal["none", "cut", "mask", "black"]


def align(
    hr: Image, lr: Image, *, method: MethodName = "transform", mirror: bool = True, threshold: float = 90.0,
    min_overlap: float = 0.3, max_error: float | None = None, max_color_distance: float | None = None,
    max_difference: float = Gates.max_difference, partial: PartialName = "none",
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
    max_difference : share of the LR that may lack what the HR shows, in one place
    partial : what becomes of a pair of which more shows something else: it is rejected ("none"), its window is the
        largest rectangle that agrees ("cut"), or it is accepted if enough agrees ("mask", "black")

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
    gates = Gates(
        threshold, min_overlap, max_error, max_color_distance=max_color_distance, max_difference=max_difference
    )
    settings = PairSettings(AlignSettings(Method(method)), gates, Framing(partial=Partial(partial)))
    with call, image_file(lr, "lr") as lr_path, image_file(hr, "hr") as hr_path:
        with naming(lr, "lr"):
            lr_image = _fingerprint(lr_path, THOROUGH)
        with naming(hr, "hr"):
            hr_image = _fingerprint(hr_path, THOROUGH)
        mirrorings = (False, True) if mirror else (False,)
        proposals = [Proposal(lr_image, hr_image, Source.FEATURES, mirrored) for mirrored in mirrorings]
        found = evaluate_best([*proposals, Proposal(lr_image, hr_image, Source.HASH)], settings)
    if not found.pairs:
        raise AlignmentError(max(found.rejected, key=how_far).rejection)
    return Alignment(_without_features(found.pairs[0]))


def find_pairs(
    lr_dir: Folder, hr_dir: Folder, *, recursive: bool = False, search: SearchName = "auto", distance: int = 12,
    mirror: bool = True, negative: bool = True, method: MethodName = "transform", scale: Scale = 2,
    threshold: float = 90.0, min_overlap: float = 0.3, max_error: float | None = None,
    min_native_scale: float | None = None, max_color_distance: float | None = None,
    max_difference: float = Gates.max_difference, partial: PartialName = "none", keep_combed: bool = False,
    all_matches: bool = False, save: Folder | None = None, jobs: int | None = None,
) -> Generator[Pair, None, None]:  # fmt: skip
    """Yield the pairs that the command line would write, each once nothing can change it; write nothing.

    The parameters are the command line's options of these names. Files that can't be read are left out, and named by
    the logger "twimager".

    Parameters
    ----------
    lr_dir, hr_dir : the folders of the LRs and of the HRs
    recursive : whether to look into the folders inside them
    search : what proposes pairs: "auto", "hash", "features" or "names"
    distance : bits, 0 to 64, in which the 64-bit hashes of a pair that is proposed by them, or as the same frame, may
        differ
    mirror, negative : whether mirrored pairs, and pairs of which one is the negative of the other, are looked for
    method, threshold, min_overlap, max_error, max_color_distance, max_difference, partial : see `align`
    scale : output pixels per LR pixel, along a side
    min_native_scale : HR source pixels that hold detail, along a side, that each output pixel must come from
    keep_combed : whether LRs of two moments, combed or blended, are paired too
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
        Path(lr_dir), Path(hr_dir), ReadSettings(recursive),
        ProposeSettings(Search(search), distance, mirror, negative),
        PairSettings(
            AlignSettings(Method(method)),
            Gates(threshold, min_overlap, max_error, min_native_scale, max_color_distance, max_difference, keep_combed),
            Framing(parse_scale(str(scale)), partial=Partial(partial)),
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
    with call, image_file(query, "query") as path, open_searcher(options, LogConsole(), queries=1) as searcher:
        answer = searcher.search_file("query", path)
    if answer.query is None:
        with naming(query, "query"):
            raise UnreadableImage(answer.error)
    return [_result(hit, answer.query) for hit in answer.hits]


def _pairs(options: Options) -> Generator[Pair, None, None]:
    console = LogConsole()
    evaluate = evaluate_all if options.select.all_matches else evaluate_best
    with (
        call,
        console.progress(0) as progress,
        worker_pool(options.run.jobs) as workers,
        Store(options.run.save, console.warn) as store,
        Evaluators(workers, partial(evaluate, settings=options.pair)) as evaluators,
    ):
        lrs, hrs = (
            require_files([folder], options.read.recursive, console.warn) for folder in (options.lr, options.hr)
        )
        reader = Reader(workers, console, progress, store=store, ledger=Ledger(console))
        decider = Decider(reader, evaluators, options.pair, options.select.all_matches)
        for pair in rounds.find_pairs(lrs, hrs, options, reader, decider):
            yield Pair(_without_features(pair))


def _without_features(pair: VerifiedPair) -> VerifiedPair:
    return pair._replace(proposal=pair.proposal.without_features)


def _result(hit: Hit, query: Fingerprint) -> SearchResult:
    found, scores = hit.alignment, hit.scores
    return SearchResult(
        hit.image.path, hit.copies, hit.score, scores.ssim, scores.features, scores.colors,
        between_files(found.matrix, hit.image, query) if found else None,
        bool(found and found.mirrored), found.overlap if found else 0.0, found.inliers if found else 0,
    )  # fmt: skip


def _fingerprint(path: Path, recipe: Recipe) -> Fingerprint:
    try:
        image = fingerprint(path, recipe)
    except LIBRARY_ERRORS as error:
        raise UnreadableImage(complaint(error)) from error
    if image.is_flat:
        raise AlignmentError(Rejection(Reason.FLAT))
    return image
