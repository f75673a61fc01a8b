"""The whole of `cluster`: image files in, groups of near-duplicates out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twimager.cluster.clustering import grouped, packed
from twimager.cluster.groups import Found, Settings, by_quality
from twimager.cluster.ties import regrouped
from twimager.cluster.views import remembered_by_views
from twimager.fingerprint.cache import Store
from twimager.fingerprint.fingerprint import LIGHT_HR, Fingerprint, Recipe
from twimager.pairing.read import Reader
from twimager.report.ledger import Ledger
from twimager.runtime.console import Console
from twimager.runtime.pool import worker_pool


def find(paths: Sequence[Path], settings: Settings, console: Console) -> Found:
    """Read the images and put them into groups; name on the console what can't be read."""
    recipe = (LIGHT_HR if settings.verify else LIGHT_HR.bare)._replace(
        hash_side=settings.hash_side, resize=settings.resize
    )
    with (
        console.progress(len(paths)) as progress,
        worker_pool(settings.jobs) as pool,
        Store(settings.save, console.warn) as store,
    ):
        ledger = Ledger(console.detail)
        reader = Reader(pool, settings.jobs, console, progress, store=store, ledger=ledger)
        images = _read(reader, list(paths), recipe)
        with progress.stage("grouping"):
            bits = settings.hash_side**2
            hashes = packed([image.hashes[0] for image in images], bits)
            labels = grouped(hashes, bits, settings.similarity, settings.linkage)
        if settings.verify:
            labels = regrouped(reader, images, labels, recipe)
        return Found(by_quality(reader, images, labels), settings, ledger.unreadable)


def _read(reader: Reader, paths: list[Path], recipe: Recipe) -> list[Fingerprint]:
    """Fingerprint all images, by kept views where there are to be such."""
    if recipe.resize < 1:
        images = reader.take("images", paths, remembered_by_views(reader, paths, recipe))
    else:
        images = reader.read("images", paths, recipe)
    reader.count_unsupported()
    return images
