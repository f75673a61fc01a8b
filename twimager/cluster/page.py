"""The page of clusters, their members side by side: one file that loads nothing from a network and runs no script."""

from __future__ import annotations

from html import escape
from pathlib import Path

from twimager.cluster.clusters import Cluster, Clustering
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.report.page import link_to, shown_name
from twimager.runtime.console import counted, printable
from twimager.web.template import fill

# Its name, in DEST.
PAGE = "clusters.html"


def page(clustering: Clustering, folder: Path) -> bytes:
    """Return the page, which is to lie in `folder`: HTML that refers to the images where they are.

    Clusters of one are only counted.
    """
    shown = [cluster for cluster in clustering.clusters if len(cluster.members) > 1]
    alone = len(clustering.clusters) - len(shown)
    sections = [_section(cluster, clustering, folder) for cluster in shown]
    texts = {
        "TITLE": escape(", ".join(shown_name(str(path.absolute())) for path in clustering.options.folders)),
        "SUMMARY": escape(_summary(clustering, len(shown), alone)),
        "GROUPS": "\n".join(sections or ['<p class="empty">No two are alike.</p>']),
    }
    return fill("groups", [], {}, styles=["page.css"], texts=texts).html


def _summary(clustering: Clustering, shown: int, alone: int) -> str:
    options = clustering.options
    images = sum(len(cluster.members) for cluster in clustering.clusters) - alone
    how = "aligned with each other" if options.verify else f"similarity {options.similarity:g}"
    clusters = f"{counted(images, 'image')} in {counted(shown, 'cluster')}, {how}"
    return f"{clusters}; {counted(alone, 'image')} alone"


def _section(cluster: Cluster, clustering: Clustering, folder: Path) -> str:
    figures = "".join(_figure(image, cluster, clustering, folder) for image in cluster.members)
    title = f"{len(cluster.members)} images"
    return (
        f'<section class="group" id="cluster_{cluster.number}"><h2>Cluster {cluster.number} <span>{title}</span></h2>'
        f'<div class="members">{figures}</div></section>'
    )


def _place(path: Path, clustering: Clustering) -> str:
    """Return in which folder an image is, from that of the command line on."""
    root = next((folder for folder in clustering.options.folders if path.is_relative_to(folder)), path.parent)
    place = Path(root.absolute().name) / path.parent.relative_to(root)
    return f'<span class="place">{escape(printable(place.as_posix()))}</span>'


def _figure(image: Fingerprint, cluster: Cluster, clustering: Clustering, folder: Path) -> str:
    best = image is cluster.best
    path = str(image.path.absolute())
    width, height = image.frame[2:]
    bits = "" if best else f"<span>{cluster.distance(image)} of {clustering.options.hash_side**2} bits</span>"
    flag = '<span class="flag">best</span>' if best else ""
    link, title = escape(link_to(path, folder)), escape(printable(path))
    return (
        f'<figure class="card{" best" * best}"><a class="picture single" href="{link}" title="{title}">'
        f'<img loading="lazy" decoding="async" alt="" src="{link}">{flag}</a><figcaption class="words">'
        f'<span class="name">{escape(shown_name(path))}</span>{_place(image.path, clustering)}'
        f'<span class="numbers"><span>{width} &times; {height}</span>'
        f"{bits}</span></figcaption></figure>"
    )
