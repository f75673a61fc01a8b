"""The whole of `cluster`: image files in, clusters of near-duplicates out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twimager.cluster.clustering import cluster_hashes, pack_hashes
from twimager.cluster.clusters import Clustering, ClusterOptions
from twimager.cluster.image_cache import cached_fingerprints
from twimager.cluster.quality import best_first
from twimager.cluster.verification import verify_clusters
from twimager.fingerprint.cache import Store
from twimager.fingerprint.fingerprint import LIGHT_HR, Fingerprint, Recipe
from twimager.pairing.read import Reader
from twimager.report.ledger import Ledger
from twimager.runtime.console import Console
from twimager.runtime.pool import worker_pool


def find_clusters(paths: Sequence[Path], settings: ClusterOptions, console: Console) -> Clustering:
    """Read the images and put them into clusters; name on the console what can't be read."""
    recipe = (LIGHT_HR if settings.verify else LIGHT_HR.without_features)._replace(
        hash_side=settings.hash_side, resize=settings.resize, detail=False
    )
    with (
        console.progress(len(paths)) as progress,
        worker_pool(settings.jobs) as workers,
        Store(settings.save, console.warn) as store,
    ):
        ledger = Ledger(console)
        reader = Reader(workers, console, progress, store=store, ledger=ledger)
        images = _read(reader, list(paths), recipe)
        with progress.stage("grouping"):
            bits = settings.hash_side**2
            hashes = pack_hashes([image.hashes[0] for image in images], bits)
            labels = cluster_hashes(hashes, bits, settings.similarity, settings.linkage)
        if settings.verify:
            labels = verify_clusters(reader, images, labels, recipe)
        return Clustering(best_first(reader, images, labels), settings, ledger.unreadable)


def _read(reader: Reader, paths: list[Path], recipe: Recipe) -> list[Fingerprint]:
    """Fingerprint all images, with --resize by way of shrunk images that can be kept."""
    if recipe.resize < 1:
        images = reader.take("images", paths, cached_fingerprints(reader, paths, recipe))
    else:
        images = reader.read("images", paths, recipe)
    reader.count_unsupported()
    return images
