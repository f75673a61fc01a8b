"""Split the pairs so that none to validate with shows what one to train on does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from twimager.align.matching import inlier_positions, match
from twimager.errors import Rejection
from twimager.fingerprint.fingerprint import Fingerprint, mirrored
from twimager.fingerprint.mask import Masks
from twimager.options import Method, Options
from twimager.pairing.read import Reader
from twimager.pairing.rounds import as_read, rich_recipe
from twimager.pairs import Part, VerifiedPair
from twimager.propose.by_frame import halved
from twimager.propose.by_similarity import ALIKE
from twimager.propose.proposal import Proposal
from twimager.select.split import validation_groups

# So many features of two pictures agree if they share content. Of 500 crops of 100 photographs, by 1000 features each,
# no two of different photographs had 7; all that overlap by 0.12 of the smaller one were in one group.
SHARED_FEATURES = 7
# In one of both pictures they extend over so much of its width or height, but for those at the ends, of which a few
# agree by chance: those of a logo that both have do not, be it 0.2 of the frame wide.
LEAST_EXTENT = 0.2
MOST = (10, 90)
# So many mirrored HRs are compared with each: if there are any of the same content, they have the most votes.
MIRRORED_PROPOSED = 2
NUMBER = re.compile(r"(\d+)")


def split_pairs(
    pairs: Iterable[VerifiedPair], options: Options, reader: Reader, masks: Masks
) -> Iterator[VerifiedPair]:
    """Yield the pairs, once all are known, with their parts: `--split` of them to train on."""
    known = [pair._replace(proposal=pair.proposal.without_features) for pair in pairs]
    groups = group_pairs(known, options, reader, masks)
    names = {root: _name(root, options.hr) for root in groups}
    sizes = Counter(names[root] for root in groups)
    assert options.write.split
    chosen = validation_groups(sizes, 1 - options.write.split, options.write.seed)
    if len(sizes) == 1:
        reader.console.note("--split: all pairs share content, so that there are none to validate with")
    numbers = {root: number for number, root in enumerate(dict.fromkeys(groups), start=1)}
    for pair, root in zip(known, groups, strict=True):
        yield pair._replace(part=Part("val" if names[root] in chosen else "train", numbers[root]))


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def group_pairs(pairs: Sequence[VerifiedPair], options: Options, reader: Reader, masks: Masks) -> list[Path]:
    """Return for each pair the first HR of its group, in the order of their paths: pairs of a group share content.

    Those do whose HRs do, or that have an image in common, directly or by way of others.
    """
    hrs = sorted({pair.proposal.hr.path: pair.proposal.hr for pair in pairs}.values(), key=lambda hr: hr.path)
    same: DisjointSet[Path] = DisjointSet(image.path for pair in pairs for image in pair.proposal.images)
    for pair in pairs:
        same.merge(*(image.path for image in pair.proposal.images))
    for one, other in chain(_neighbours(hrs, options.hr), _equal_hashes(hrs)):
        if float((halved(one.thumbnail[None]) @ halved(other.thumbnail[None]).T)[0, 0]) >= ALIKE:
            same.merge(one.path, other.path)
    recipe = as_read(rich_recipe(len(hrs)), options.read, masks.hr)
    reader.progress.expect(len(hrs))
    with reader.progress.stage("reading again"):
        described = reader.describe(hrs, recipe)
    with reader.progress.stage("grouping"):
        _merge_by_features(described, same, reader, options.propose.mirror)
    firsts: dict[Path, Path] = {}
    for hr in hrs:
        firsts.setdefault(same[hr.path], hr.path)
    return [firsts[same[pair.proposal.hr.path]] for pair in pairs]


def _neighbours(hrs: Sequence[Fingerprint], folder: Path) -> Iterator[tuple[Fingerprint, Fingerprint]]:
    """Yield HRs whose names differ in their numbers alone and follow one another: frames of a film, say."""
    parts = {hr.path: NUMBER.split(_name(hr.path, folder)) for hr in hrs}
    ordered = sorted(hrs, key=lambda hr: (parts[hr.path][::2], [*map(int, parts[hr.path][1::2])]))
    return ((one, other) for one, other in pairwise(ordered) if parts[one.path][::2] == parts[other.path][::2])


def _equal_hashes(hrs: Sequence[Fingerprint]) -> Iterator[tuple[Fingerprint, Fingerprint]]:
    """Yield HRs of the same hash, of which there may be too many copies for features to tell."""
    ordered = sorted(hrs, key=lambda hr: (hr.hashes[0], hr.path))
    return ((one, other) for one, other in pairwise(ordered) if one.hashes[0] == other.hashes[0])


def _merge_by_features(hrs: Sequence[Fingerprint], same: DisjointSet[Path], reader: Reader, mirror: bool) -> None:
    """Merge HRs that share content: those that features vote for, also mirrored, and that agree in where these are."""
    # Imported here, as FAISS takes its time.
    from twimager.pairing.index_shards import feature_index

    index = feature_index(hrs, reader)
    proposals = [index.propose(hrs, exclude_self=True)]
    proposals += [index.propose(hrs, mirror=True, exclude_self=True, limit=MIRRORED_PROPOSED)] * mirror
    for of_one in proposals:
        left = (pair for pair in chain.from_iterable(of_one) if not same.connected(pair.lr.path, pair.hr.path))
        for shared, (one, other) in reader.workers.map_shards(_compared, left):
            if shared:
                same.merge(one, other)


def _compared(proposal: Proposal) -> tuple[bool, tuple[Path, Path]]:
    """Worker task: tell whether two images share content, and return which they are."""
    one, other = proposal.images
    return share_content(mirrored(one) if proposal.mirrored else one, other), (one.path, other.path)


def share_content(one: Fingerprint, other: Fingerprint) -> bool:
    """Tell whether two images, by their features, show the same in some part that is larger than a logo."""
    found = match(one, other, Method.TRANSFORM)
    if isinstance(found, Rejection) or (found.inliers or 0) < SHARED_FEATURES:
        return False
    positions = inlier_positions(one, other, found.matrix)
    seen = zip(positions, (one.size, other.size), strict=True)
    extents = [np.ptp(np.percentile(points, MOST, axis=0), axis=0) / size for points, size in seen if len(points)]
    return bool(np.max(extents, initial=0) >= LEAST_EXTENT)
