"""The page of groups: their members side by side, in one file that asks nothing of any network and runs no script."""

from __future__ import annotations

from html import escape
from pathlib import Path

from twimager.cluster.clusters import Found, Group, distance
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.report.page import link_to, shown_name
from twimager.runtime.console import printable
from twimager.web.template import fill


def page(found: Found, folder: Path) -> bytes:
    """Return the page, which is to lie in `folder`: HTML that refers to the images where they are.

    Groups of one are only counted.
    """
    shown = [group for group in found.groups if len(group.members) > 1]
    alone = len(found.groups) - len(shown)
    sections = [_section(group, found, folder) for group in shown]
    texts = {
        "TITLE": escape(", ".join(shown_name(str(path.absolute())) for path in found.settings.folders)),
        "SUMMARY": escape(_summary(found, len(shown), alone)),
        "GROUPS": "\n".join(sections or ['<p class="empty">No two are alike.</p>']),
    }
    return fill("groups", [], {}, styles=["page.css"], texts=texts).html


def _summary(found: Found, together: int, alone: int) -> str:
    images = sum(len(group.members) for group in found.groups) - alone
    how = "aligned with each other" if found.settings.verify else f"similarity {found.settings.similarity:g}"
    groups = f"{images} images in {together} cluster{'s' * (together != 1)}, {how}"
    return f"{groups}; {alone} image{'s' * (alone != 1)} alone"


def _section(group: Group, found: Found, folder: Path) -> str:
    figures = "".join(_figure(image, group, found, folder) for image in group.members)
    title = f"{len(group.members)} images"
    return (
        f'<section class="group" id="cluster_{group.number}"><h2>Cluster {group.number} <span>{title}</span></h2>'
        f'<div class="members">{figures}</div></section>'
    )


def _figure(image: Fingerprint, group: Group, found: Found, folder: Path) -> str:
    best = image is group.best
    path = str(image.path.absolute())
    width, height = image.frame[2:]
    apart = "" if best else f"<span>{distance(image, group)} of {found.settings.hash_side**2} bits</span>"
    flag = '<span class="flag">best</span>' if best else ""
    link, title = escape(link_to(path, folder)), escape(printable(path))
    return (
        f'<figure class="card{" best" * best}"><a class="picture single" href="{link}" title="{title}">'
        f'<img loading="lazy" decoding="async" alt="" src="{link}">{flag}</a><figcaption class="words">'
        f'<span class="name">{escape(shown_name(path))}</span>'
        f'<span class="numbers"><span>{width} &times; {height}</span>'
        f"{apart}</span></figcaption></figure>"
    )
