"""Find a picture in a collection: propose, align, verify as the main job does, then compare and rank."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from twimager.errors import Rejection
from twimager.fingerprint.fingerprint import LIGHT_HR, LIGHT_LR, Fingerprint, Recipe
from twimager.geometry import covered_share
from twimager.options import AlignSettings, Gates, Method, PairSettings
from twimager.pairing.evaluate import evaluate_all
from twimager.pairing.evaluation import failure
from twimager.propose.proposal import CANDIDATES, Proposal
from twimager.runtime.pool import Workers
from twimager.search.collection import Collection
from twimager.search.ranking import (
    Alignment,
    Candidate,
    Criteria,
    Hit,
    Query,
    Ranking,
    embedding,
    inverse,
    is_reference,
    score_candidate,
)
from twimager.search.scores import features_of, working_colors

# As the main job fingerprints an LR and an HR, so that --save serves both.
OF_QUERY: Recipe = LIGHT_LR._replace(srgb=True, combing=False)
OF_IMAGE: Recipe = LIGHT_HR._replace(srgb=True, detail=False)
# So much of one of two pictures must be in the other's frame: in less, chance aligns what has nothing in common.
MIN_OVERLAP = 0.1
# Every picture that passes is a hit; a picture may be taken of a picture.
SETTINGS = PairSettings(AlignSettings(Method.WARP), Gates(min_overlap=0.0))


def search(query: Fingerprint, collection: Collection, criteria: Criteria, workers: Workers) -> Ranking:
    """Return the hits for a query in a collection, the best first, by these workers.

    The query's own file is none. Raises UnreadableImage if the query can't be read any more.
    """
    most = max(CANDIDATES, criteria.top) + 1
    proposals = collection.propose(query, most)
    aligned = list(workers.map_shards(align, proposals))
    if criteria.mirror and not any(isinstance(one, Alignment) for one in aligned):
        mirrored = collection.propose_mirrored(query, most)
        proposals, aligned = proposals + mirrored, aligned + list(workers.map_shards(align, mirrored))
    candidates = [
        Candidate(collection.same_fingerprint(p.hr, query), one if isinstance(one, Alignment) else None)
        for p, one in zip(proposals, aligned, strict=True)
    ]
    colors = working_colors(query)
    described = Query(query, colors, features_of(colors.gray, criteria.detector), embedding(colors, criteria))
    score = partial(score_candidate, query=described, criteria=criteria)
    unread = {p.hr.path: one for p, one in zip(proposals, aligned, strict=True) if isinstance(one, Rejection)}
    hits = list[Hit]()
    for ranking in workers.map_shards(score, _best(candidates, criteria)):
        hits += [hit for hit in ranking.hits if hit.score >= criteria.min_score]
        unread |= ranking.unread
    return Ranking(sorted(hits, key=lambda hit: hit.rank)[: criteria.top], unread)


def align(proposal: Proposal) -> Alignment | Rejection | None:
    """Align and verify one picture and the query, the smaller of them being the reference.

    Return None if they do not show the same, and why where that can't be told.
    """
    query, image = proposal.lr, proposal.hr
    swapped = not is_reference(query, image)
    evaluation = evaluate_all([proposal._replace(lr=image, hr=query) if swapped else proposal], SETTINGS)
    pairs = evaluation.pairs
    if not pairs:
        return failure(evaluation)
    matrix = pairs[0].match.matrix
    back = inverse(matrix)
    if swapped:
        matrix, back = back, matrix
    overlap = max(covered_share(matrix, image.size, query.size), covered_share(back, query.size, image.size))
    if overlap < MIN_OVERLAP:
        return None
    return Alignment(matrix, pairs[0].match.inliers or 0, overlap, proposal.mirrored)


def _best(candidates: Sequence[Candidate], criteria: Criteria) -> list[Candidate]:
    """Return the aligned candidates, each once, then the nearest of the others until there are enough."""
    aligned = {one.images[0].path: one for one in reversed(candidates) if one.alignment}
    others = {one.images[0].path: one for one in candidates if one.images[0].path not in aligned}
    best = sorted(
        aligned.values(), key=lambda one: (-one.alignment.overlap, -one.alignment.inliers) if one.alignment else ()
    )
    return [*best[: max(CANDIDATES, criteria.top)], *list(others.values())[: max(0, criteria.top - len(aligned))]]
