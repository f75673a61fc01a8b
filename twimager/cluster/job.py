"""The whole of `cluster`: image files in, groups of near-duplicates out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from twimager.cluster.clustering import grouped, packed
from twimager.cluster.groups import Found, Settings, by_quality
from twimager.cluster.ties import regrouped
from twimager.cluster.views import remembered_by_views
from twimager.fingerprint.cache import Store
from twimager.fingerprint.fingerprint import LIGHT_HR, Fingerprint, Recipe
from twimager.options import Options
from twimager.pairing.read import Run, read, take
from twimager.pairing.workers import Evaluators
from twimager.report.ledger import Report
from twimager.runtime.console import Console
from twimager.runtime.pool import worker_pool


def find(paths: Sequence[Path], settings: Settings, console: Console) -> Found:
    """Read the images and put them into groups; name on the console what can't be read."""
    recipe = (LIGHT_HR if settings.verify else LIGHT_HR.without_features)._replace(
        hash_side=settings.hash_side, resize=settings.resize
    )
    # The main job's options, of which reading and aligning take theirs; its folders have no say here.
    folder = settings.folders[0]
    report = Report(
        Options(folder, folder, dry=True, jobs=settings.jobs, max_pixels=settings.max_pixels), console.detail
    )
    with (
        console.progress(len(paths)) as progress,
        worker_pool(settings.jobs) as pool,
        Store(settings.save, console.warn) as store,
        Evaluators(pool, report.options) as evaluators,
    ):
        run = Run(pool, report, console, progress, store, evaluators, {}, Counter())
        images = _read(run, list(paths), recipe)
        with progress.stage("grouping"):
            bits = settings.hash_side**2
            hashes = packed([image.hashes[0] for image in images], bits)
            labels = grouped(hashes, bits, settings.similarity, settings.linkage)
        if settings.verify:
            labels = regrouped(run, images, labels, recipe)
        return Found(by_quality(run, images, labels), settings, report.unreadable)


def _read(run: Run, paths: list[Path], recipe: Recipe) -> list[Fingerprint]:
    """Fingerprint all images, by kept views where there are to be such."""
    if recipe.resize < 1:
        images = take(run, "images", paths, remembered_by_views(run, paths, recipe))
    else:
        images = read(run, "images", paths, recipe)
    run.count_unsupported()
    return images
