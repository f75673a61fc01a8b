"""Frames of a shot lead to the one that an LR shows; photographs lead to no others."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from tests.support.paths import EXAMPLES
from tests.support.pictures import moving
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR, LIGHT_LR, Fingerprint
from twimager.geometry import mirroring, scaling, translation
from twimager.propose import by_similarity
from twimager.propose.by_frame import halved
from twimager.propose.by_similarity import ALIKE, MAX_PROPOSED, NOTHING_SIMILAR, SimilarHRs
from twimager.propose.proposal import Proposal, Source

FRAMES = 24
# From the pixels of a frame to those of an LR that shows all but its borders.
CROPPED = scaling(0.5) @ translation(-20, -12)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> list[Fingerprint]:
    """The frames of a shot, and photographs."""
    place, described = tmp_path_factory.mktemp("film"), []
    for number in range(FRAMES):
        cv2.imwrite(str(place / f"{number}.png"), moving(number))
        described.append(fingerprint(place / f"{number}.png", LIGHT_HR.without_features))
    return described + [fingerprint(path, LIGHT_HR.without_features) for path in sorted((EXAMPLES / "HR").iterdir())]


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_frame_that_an_lr_shows_comes_first(film: list[Fingerprint], tmp_path: Path, mirrored: bool) -> None:
    crop = cv2.resize(moving(17)[12:288, 20:430], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "lr.png"), (crop[:, ::-1] if mirrored else crop) * 0.8 + 20)
    lr, best = fingerprint(tmp_path / "lr.png", LIGHT_LR.without_features), film[2]
    to_lr = mirroring(lr.size) @ CROPPED if mirrored else CROPPED
    proposal = Proposal(lr, best, Source.FEATURES, mirrored)
    proposals = SimilarHRs(film).propose(proposal, to_lr, {best.path})
    assert len(proposals) == MAX_PROPOSED
    assert proposals[0] == proposal._replace(hr=film[17])
    others = SimilarHRs(film).propose(proposal, to_lr, {best.path, film[17].path})
    assert film[17].path not in [one.hr.path for one in others]


def test_photographs_and_unknown_images_lead_to_no_others(film: list[Fingerprint]) -> None:
    photos, frame = film[FRAMES:], film[0]
    similar = SimilarHRs(photos)
    for known, image in ((similar, photos[3]), (similar, frame), (NOTHING_SIMILAR, frame)):
        assert known.propose(Proposal(frame, image, Source.FEATURES), np.eye(3), {image.path}) == []
        assert known.group(image.path) == image.path


def test_groups_are_the_connected_components_of_what_is_alike(
    film: list[Fingerprint], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_similarity, "BATCH", 5)
    mixed = [film[number] for number in np.random.default_rng(0).permutation(len(film))]
    thumbnails = halved(np.array([image.thumbnail for image in mixed]))
    count, labels = connected_components(thumbnails @ thumbnails.T >= ALIKE)
    groups = [SimilarHRs(mixed).group(image.path) for image in mixed]
    assert groups == [mixed[list(labels).index(label)].path for label in labels]
    assert 1 < count < len(mixed)
