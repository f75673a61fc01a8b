"""Find a picture in a collection: propose, align, verify as the main job does, then compare and rank."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from twimager.errors import Rejection
from twimager.fingerprint.fingerprint import LIGHT_HR, LIGHT_LR, Fingerprint, Recipe
from twimager.geometry import covered_share
from twimager.options import Method, Options
from twimager.pairing.evaluate import evaluate
from twimager.pairing.evaluation import failure
from twimager.propose.proposal import CANDIDATES, Proposal
from twimager.runtime.pool import AHEAD, in_order
from twimager.search.collection import Collection
from twimager.search.ranking import Answer, Found, Place, Query, Task, Wanted, embedding, inverse, is_reference, judge
from twimager.search.scores import features_of, working_colors

# As the main job remembers an LR and an HR, so that --save serves both.
OF_QUERY: Recipe = LIGHT_LR._replace(srgb=True)
OF_IMAGE: Recipe = LIGHT_HR._replace(srgb=True)
# So much of one of two pictures must be seen in the other: in less, chance aligns what has nothing in common.
MIN_SHOWN = 0.1
# Every picture that passes is an answer; a picture may be taken of a picture.
OPTIONS = Options(Path(), Path(), dry=True, method=Method.WARP, all_matches=True, min_overlap=0.0)


def search(query: Fingerprint, collection: Collection, wanted: Wanted, pool: Executor, jobs: int) -> Answer:
    """Look for a picture in a collection, by `jobs` workers of `pool`; its own file is no answer.

    Raises UnreadableImage if the query can't be read any more.
    """
    most, ahead = max(CANDIDATES, wanted.top) + 1, AHEAD * jobs
    proposals = collection.propose(query, most)
    located = list(in_order(pool, locate, proposals, ahead))
    if wanted.mirror and not any(isinstance(one, Place) for one in located):
        mirrored = collection.propose_mirrored(query, most)
        proposals, located = proposals + mirrored, located + list(in_order(pool, locate, mirrored, ahead))
    places = [one if isinstance(one, Place) else None for one in located]
    tasks = _chosen([Task(collection.others(p.hr, query), q) for p, q in zip(proposals, places, strict=True)], wanted)
    seen = working_colors(query)
    asked = Query(query, seen, features_of(seen.gray, wanted.detector), embedding(seen, wanted))
    answers = in_order(pool, partial(judge, query=asked, wanted=wanted), tasks, ahead)
    unread = {p.hr.path: one for p, one in zip(proposals, located, strict=True) if isinstance(one, Rejection)}
    found = list[Found]()
    for answer in answers:
        found += [one for one in answer.found if one.score >= wanted.min_score]
        unread |= answer.unread
    return Answer(sorted(found, key=lambda one: one.rank)[: wanted.top], unread)


def locate(proposal: Proposal) -> Place | Rejection | None:
    """Align and verify one picture and the query, the smaller of them being the reference.

    Return None if they do not show the same, and why where that can't be told.
    """
    query, image = proposal.lr, proposal.hr
    turned = not is_reference(query, image)
    evaluation = evaluate([proposal._replace(lr=image, hr=query) if turned else proposal], OPTIONS)
    pairs = evaluation.pairs
    if not pairs:
        return failure(evaluation)
    matrix = pairs[0].match.matrix
    back = inverse(matrix)
    if turned:
        matrix, back = back, matrix
    shown = max(covered_share(matrix, image.size, query.size), covered_share(back, query.size, image.size))
    return Place(matrix, pairs[0].match.inliers or 0, shown, proposal.mirrored) if shown >= MIN_SHOWN else None


def _chosen(tasks: Sequence[Task], wanted: Wanted) -> list[Task]:
    """Return the pictures that have a place, each once, then the likest of the others until there are enough."""
    placed = {task.images[0].path: task for task in reversed(tasks) if task.place}
    others = {task.images[0].path: task for task in tasks if task.images[0].path not in placed}
    likest = sorted(placed.values(), key=lambda task: (-task.place.shown, -task.place.inliers) if task.place else ())
    return [*likest[: max(CANDIDATES, wanted.top)], *list(others.values())[: max(0, wanted.top - len(placed))]]
