"""Find pairs in rounds: same frames, by features and hashes, mirrored, squeezed or negative, by richer features."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from twimager.fingerprint.fingerprint import LIGHT_HR, LIGHT_LR, RICH, Fingerprint, Recipe
from twimager.fingerprint.mask import NO_MASKS, Mask, Masks
from twimager.options import Options, ReadSettings, Search, Truncated
from twimager.pairing.decide import MATCHING, Decider
from twimager.pairing.duplicates import representatives
from twimager.pairing.read import Reader
from twimager.pairs import VerifiedPair
from twimager.propose import by_hash, by_name, by_thumbnail
from twimager.propose.by_frame import Frames
from twimager.propose.by_similarity import NOTHING_SIMILAR, SimilarHRs
from twimager.propose.proposal import Proposal

if TYPE_CHECKING:
    from twimager.propose.by_features import FeatureIndex

# So many features of images that are read again may fill the memory, 144 bytes each; but each image keeps the least.
RICH_IN_ALL = 8_000_000
LEAST_RICH = 400
# Features bear a stretch of 1.8: pictures that are squeezed by up to 2.2 are found in copies stretched back by this. In
# ones by 1.6 or 2, or whose longer side is enlarged, fewer features agree in the worst of 72 pairs.
STRETCHES = 1.8, 1 / 1.8
# The progress weight of the rounds that an LR goes through which is in no pair by features, and of the last of them.
MORE_ROUNDS, LAST_ROUND = 5 * MATCHING, 3 * MATCHING


class Images(NamedTuple):
    """The LRs and HRs of a round."""

    lrs: list[Fingerprint]
    hrs: list[Fingerprint]


# Its pairs, then the images that are left for another one.
Round = Generator[VerifiedPair, None, "Images | None"]


def find_pairs(
    lr_paths: Sequence[Path],
    hr_paths: Sequence[Path],
    options: Options,
    reader: Reader,
    decider: Decider,
    *,
    masks: Masks = NO_MASKS,
) -> Iterator[VerifiedPair]:
    """Read both folders; propose, evaluate and select in rounds. Yield each pair once nothing can change it.

    A round takes the images that no pair of the rounds before has taken. Where names tell which HR an LR may be, there
    is one round.
    """
    if options.propose.search is Search.NAMES:
        named = by_name.partners(lr_paths, options.lr, hr_paths, options.hr)
        partners = {lr: [hr] for lr, hr in named.items()}
        yield from decider.pairs(read_partners(lr_paths, hr_paths, partners, options.read, reader, masks=masks))
        return
    rounds = _Rounds(options, reader, decider, masks)
    left = yield from rounds.first(lr_paths, hr_paths)
    if left:  # the features of the rounds before are not in memory any more
        yield from rounds.by_richer_features(left)


def read_partners(
    lr_paths: Sequence[Path],
    hr_paths: Sequence[Path],
    partners: Mapping[Path, Sequence[Path]],
    read: ReadSettings,
    reader: Reader,
    *,
    masks: Masks = NO_MASKS,
) -> list[list[Proposal]]:
    """Read both sides, of which every file counts, whatever it holds; propose its partners for each LR that has any."""
    lrs = reader.read("LR", lr_paths, as_read(LIGHT_LR, read, masks.lr))
    hrs = {hr.path: hr for hr in reader.read("HR", hr_paths, as_read(LIGHT_HR, read, masks.hr))}
    reader.count_unsupported()
    of_lrs = ((lr, [hrs[path] for path in partners.get(lr.path, ()) if path in hrs]) for lr in lrs)
    return [by_name.proposals(lr, of_lr) for lr, of_lr in of_lrs if of_lr]


def as_read(recipe: Recipe, read: ReadSettings, mask: Mask | None) -> Recipe:
    """Return a recipe for files that are read so."""
    return recipe._replace(truncated=read.truncated is Truncated.KEEP, srgb=not read.keep_icc, mask=mask)


def rich_recipe(count: int) -> Recipe:
    """Return the recipe for many features of so many images, fewer where they would fill the memory."""
    return RICH._replace(features=min(RICH.features, max(LEAST_RICH, RICH_IN_ALL // max(count, 1))))


class _Rounds:
    """The rounds of one run; each yields its pairs, and returns what is left for `by_richer_features`."""

    def __init__(self, options: Options, reader: Reader, decider: Decider, masks: Masks) -> None:
        self._propose, self._all_matches = options.propose, options.select.all_matches
        self._reader, self._decider, self._ledger = reader, decider, reader.ledger
        self._progress = reader.progress
        self._lr_recipe = as_read(LIGHT_LR, options.read, masks.lr)
        self._hr_recipe = as_read(LIGHT_HR, options.read, masks.hr)

    def first(self, lr_paths: Sequence[Path], hr_paths: Sequence[Path]) -> Round:
        """Read both folders, and find pairs that show the same frame, then those by hashes and features."""
        by_frame = self._propose.search is Search.AUTO and not self._all_matches
        lr_recipe = self._lr_recipe.without_features if by_frame else self._lr_recipe
        lrs = self._reader.read_unique("LR", lr_paths, lr_recipe, duplicates=self._all_matches)
        frames = Frames(lrs, self._propose.distance) if by_frame else None
        hrs = self._reader.read_unique("HR", hr_paths, self._hr_recipe, frames, duplicates=self._all_matches)
        self._reader.count_unsupported()
        if frames:
            proposals = frames.propose(hrs)
            yield from self._decider.pairs(proposals)
            lrs, hrs = self._with_features(lrs, self._lr_recipe), self._with_features(hrs, self._hr_recipe)
            left = {lr.path for lr in lrs}
            again = sum(of_one_lr[0].lr.path in left for of_one_lr in proposals if of_one_lr)
            self._progress.expect(MATCHING * again)
        near: list[list[Proposal]] = [[] for _ in lrs]
        if self._propose.search is not Search.FEATURES:
            near, self._ledger.near_hashes = by_hash.propose(lrs, hrs, self._propose.distance)
        if self._propose.search is Search.HASH:
            yield from self._decider.pairs(near, self._similar(hrs))
            return None
        return (yield from self._by_features(Images(lrs, hrs), near)) if lrs else None

    def _by_features(self, images: Images, near: Sequence[list[Proposal]]) -> Round:
        """Find pairs by features and hashes, then mirrored, then squeezed or negative.

        `near` are the HRs near each LR's hashes.
        """
        # Imported here, as FAISS takes its time.
        from twimager.pairing.index_shards import feature_index

        with self._progress.stage("searching"):
            index, similar = feature_index(images.hrs, self._reader), self._similar(images.hrs)
            proposals = self._new([index.propose(images.lrs), near])
        yield from self._decider.pairs(proposals, similar, MORE_ROUNDS)
        left = self._left(images.lrs)
        self._progress.expect(MATCHING * len(left))
        if not left:
            return None
        nearby = {of_one_lr[0].lr.path: of_one_lr for of_one_lr in near if of_one_lr}
        yield from self._decider.pairs(self._mirrored(index, left, nearby), similar)
        left = self._left(left)
        yield from self._decider.pairs(self._squeezed_or_negative(index, left), similar, LAST_ROUND)
        left = self._left(left)
        return self._likely(index, left) if left else None

    def by_richer_features(self, images: Images) -> Iterator[VerifiedPair]:
        """Read images again for more features, and find pairs by those, else by thumbnails."""
        from twimager.pairing.index_shards import feature_index

        count = len(images.lrs) + len(images.hrs)
        self._progress.expect(count + MATCHING * len(images.lrs))
        with self._progress.stage("reading again"):
            rich = rich_recipe(count)
            lrs, hrs = (
                self._reader.describe(
                    side, rich._replace(truncated=recipe.truncated, srgb=recipe.srgb, mask=recipe.mask)
                )
                for side, recipe in ((images.lrs, self._lr_recipe), (images.hrs, self._hr_recipe))
            )
        with self._progress.stage("searching again"):
            index = feature_index(hrs, self._reader)
            sources: list[Iterable[list[Proposal]]] = [index.propose(lrs, mirror=mirror) for mirror in self._mirrorings]
            if self._propose.search is not Search.FEATURES:
                sources.append(by_thumbnail.propose(lrs, hrs))
            proposals = self._new(sources)
        yield from self._decider.pairs(proposals, self._similar(hrs))

    def _similar(self, hrs: Sequence[Fingerprint]) -> SimilarHRs:
        """Return which HRs are like one another; where every pair that passes is selected, that does not matter."""
        return NOTHING_SIMILAR if self._all_matches else SimilarHRs(hrs)

    def _with_features(self, images: Sequence[Fingerprint], recipe: Recipe) -> list[Fingerprint]:
        """Return the images that are in no pair, with their features."""
        left = self._left(images)
        hashed = [image for image in left if image.features is None]
        self._progress.expect(len(hashed))
        if hashed:
            # It takes a tenth of a second, in which workers find features already.
            Thread(target=import_module, args=("faiss",), daemon=True).start()
        with self._progress.stage("finding features"):
            found = {image.path: image for image in self._reader.describe(hashed, recipe)}
        return [found.get(image.path, image) for image in left if image.path in found or image.features is not None]

    def _left(self, images: Sequence[Fingerprint]) -> list[Fingerprint]:
        """Return the images that are in no pair, one of each content."""
        return representatives(images, self._ledger.duplicates, self._ledger.taken)

    def _mirrored(
        self, index: FeatureIndex, left: Sequence[Fingerprint], near: Mapping[Path, list[Proposal]]
    ) -> list[list[Proposal]]:
        """Propose mirrored HRs, and the HRs near an LR's hashes, as others of its choices may be taken."""
        sources: list[Iterable[list[Proposal]]] = [[near.get(lr.path, []) for lr in left]]
        if self._propose.mirror:
            sources.append(index.propose(left, mirror=True))
        with self._progress.stage("searching again"):
            return self._new(sources)

    def _squeezed_or_negative(self, index: FeatureIndex, left: list[Fingerprint]) -> list[list[Proposal]]:
        """Propose HRs that are squeezed by more than features bear, and negatives, mirrored ones too."""
        mirrorings = self._mirrorings if self._propose.negative else ()
        sources: list[Iterable[list[Proposal]]] = [index.propose(left, mirror=one, invert=True) for one in mirrorings]
        self._progress.expect((MATCHING + len(STRETCHES)) * len(left))
        with self._progress.stage("searching again"):
            for stretch in STRETCHES:
                described = self._reader.describe(left, self._lr_recipe._replace(stretch=stretch))
                found = {image.path: image for image in described}
                lrs = [found.get(lr.path, lr.without_features) for lr in left]
                sources.append(index.propose(lrs, stretch=stretch))
            return self._new(sources)

    def _likely(self, index: FeatureIndex, left: list[Fingerprint]) -> Images:
        """Return these LRs, and all HRs that are likely for one of them, mirrored or not, without features."""
        with self._progress.stage("searching again"):
            wide = chain.from_iterable(index.propose(left, mirror=mirror, wide=True) for mirror in self._mirrorings)
            likely = {proposal.hr.path: proposal.hr for of_one_lr in wide for proposal in of_one_lr}
            hrs = sorted(self._left(list(likely.values())), key=lambda hr: hr.path)
            return Images([lr.without_features for lr in left], [hr.without_features for hr in hrs])

    @property
    def _mirrorings(self) -> tuple[bool, ...]:
        return (False, True) if self._propose.mirror else (False,)

    def _new(self, sources: Iterable[Iterable[list[Proposal]]]) -> list[list[Proposal]]:
        """Return what several sources propose, each a list an LR, of images that are not taken; reopen it."""
        proposals = [
            [
                proposal._replace(hr=hr)
                for proposal in chain(*of_one_lr)
                if not self._ledger.is_certainly_rejected(proposal)
                for hr in representatives([proposal.hr], self._ledger.duplicates, self._ledger.taken)
            ]
            for of_one_lr in zip(*sources, strict=True)
        ]
        self._ledger.reopen(chain(*proposals))
        return proposals
