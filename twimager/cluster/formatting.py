"""Clusters as text for the terminal and as JSON."""

from __future__ import annotations

import json
from typing import Any

from twimager.cluster.clusters import Cluster, Clustering
from twimager.cluster.page import PAGE
from twimager.version import __version__

HEADING = "items per cluster : number of such clusters"


def to_text(clustering: Clustering) -> str:
    """Return how many clusters of each size there are, and where the page is."""
    dest = clustering.options.dest
    lines = [HEADING, *(f"{size} : {count}" for size, count in clustering.sizes)]
    return "\n".join(lines + ([f"page: {dest / PAGE}"] if dest else []))


def to_json(clustering: Clustering) -> str:
    """Return the clusters and the options that led to them."""
    options = clustering.options
    document = {
        "twimager": __version__,
        "exit_code": int(clustering.exit_code),
        "folders": [str(folder.absolute()) for folder in options.folders],
        "dest": options.dest and str(options.dest.absolute()),
        "page": options.dest and str((options.dest / PAGE).absolute()),
        "similarity": options.similarity,
        "bits": options.hash_side**2,
        "linkage": options.linkage.value,
        "verified": options.verify,
        "images": sum(len(cluster.members) for cluster in clustering.clusters),
        "unreadable": clustering.unreadable,
        "sizes": {str(size): count for size, count in clustering.sizes},
        "clusters": [_cluster(cluster) for cluster in clustering.clusters],
    }
    return json.dumps(document, indent=2)


def _cluster(cluster: Cluster) -> dict[str, Any]:
    return {
        "cluster": cluster.number,
        "folder": cluster.folder.as_posix(),
        "best": str(cluster.best.path.absolute()),
        "members": [
            {
                "path": str(image.path.absolute()),
                "size": list(image.frame[2:]),
                "distance": cluster.distance(image),
            }
            for image in cluster.members
        ],
    }
