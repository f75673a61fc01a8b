"""The picture that --debug shows of a pair: its outputs, its numbers, and the features that match."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twimager.align.matching import inlier_positions
from twimager.fingerprint.extract import extract_features
from twimager.fingerprint.fingerprint import LIGHT_HR, LIGHT_LR, stretching
from twimager.fingerprint.working_image import picture, working_image
from twimager.geometry import Points, mirroring, transform_points
from twimager.image.decode import decode
from twimager.options import Options
from twimager.output.render import render_hr, render_lr
from twimager.output.transparency import treatment
from twimager.pairing.candidates import features_as_proposed
from twimager.pairs import VerifiedPair
from twimager.report.document import pair_record
from twimager.report.reader import caption
from twimager.report.records import Record
from twimager.runtime.console import counted
from twimager.windows.panels import DIM, Display, drawn_matches, drawn_pair, stacked, text

# Room, (width, height), for each picture of the upper row, and height of the lower one: with their text all fits on a
# screen of 1280 x 720.
UPPER, LOWER = (410, 300), 200


def preview(pair: VerifiedPair, options: Options) -> NDArray[np.uint8]:
    """Return the picture of a pair, (h, w, 3) uint8; raises UnreadableImage."""
    lr, hr = pair.proposal.images
    how = treatment(pair, options.write)
    rendered = render_hr(pair, options.pair.framing, options.write.color_transfer, how, depth=8)
    upper = drawn_pair(
        decode(render_lr(pair, replace(options.write, depth=8), options.pair.framing.partial)),
        rendered[..., :3],
        Display(room=UPPER),
    )
    hr_points, lr_points = matched_points(pair)
    width = upper.shape[1]
    with picture(hr) as hr_pixels, picture(lr) as lr_pixels:
        lower = drawn_matches(hr_pixels, lr_pixels, hr_points, lr_points, (width, LOWER))
    agreeing = counted(len(hr_points), "match agrees", "matches agree")
    words = f"{agreeing} with the transform" if len(hr_points) else "no matches"
    return stacked(
        text(f"HR {hr.path.name}, LR {lr.path.name}", width),
        text(caption(pair_record(Record(pair), options.write)), width, DIM),
        upper,
        text(words, width, DIM),
        lower,
    )


def matched_points(pair: VerifiedPair) -> tuple[Points, Points]:
    """Return the positions (n, 2) of the features that agree with a pair's transform, in pixels of the HR, of the LR.

    Raises UnreadableImage if they were not detected yet, and the image can't be read any more.
    """
    recipes = LIGHT_LR._replace(stretch=pair.proposal.stretch), LIGHT_HR
    lr, hr = (
        extract_features(image, working_image(image).gray, recipe) if image.features is None else image
        for image, recipe in zip(pair.proposal.images, recipes, strict=True)
    )
    proposal, flip = pair.proposal, mirroring(hr.size) if pair.proposal.mirrored else np.eye(3)
    to_copy = stretching(proposal.stretch)
    seen = features_as_proposed(proposal, hr, lr)
    hr_points, lr_points = inlier_positions(*seen, to_copy @ pair.match.matrix @ flip)
    return transform_points(flip, hr_points), transform_points(stretching(1 / proposal.stretch), lr_points)
