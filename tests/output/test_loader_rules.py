"""The rules of each loader, by its code: what it misreads, which files it finds, how it pairs them."""

from pathlib import Path

import pytest

from twimager.image.traits import Trait
from twimager.options import Loader
from twimager.output.loaders import finds_partner, unread

PNG = Path("a.png")


def test_plain_files_are_read_by_all() -> None:
    assert not any(list(unread(loader, PNG, frozenset())) for loader in Loader)


@pytest.mark.parametrize(
    ("trait", "loaders"),
    [
        (Trait.DEEP, {Loader.KAIR}),  # utils_image.py: imread_uint, then / 255
        (Trait.TURNED, {Loader.KAIR, Loader.TRAINNER}),  # IMREAD_UNCHANGED; vipsimfrompath without autorot
        (Trait.PALETTE, {Loader.HF}),  # features/image.py: as Pillow opens it
        (Trait.PROFILE, set(Loader) - {Loader.TRAINNER}),  # vipsimfrompath: icc_transform
        (Trait.CMYK, set(Loader)),
    ],
)
def test_a_trait_is_misread_by_these(trait: Trait, loaders: set[Loader]) -> None:
    assert {loader for loader in Loader if list(unread(loader, PNG, frozenset({trait})))} == loaders


def test_only_some_look_for_extensions() -> None:
    missing = {loader for loader in Loader if list(unread(loader, Path("a.tiff"), frozenset()))}
    assert missing == {Loader.NEOSR, Loader.KAIR}
    assert not list(unread(Loader.KAIR, Path("a.tif"), frozenset()))
    assert not list(unread(Loader.NEOSR, Path("a.JPEG"), frozenset()))


def test_names_of_other_extensions_are_no_pair_to_some() -> None:
    found = {loader for loader in Loader if finds_partner(loader, Path("lr/a.jpg"), Path("hr/a.png"))}
    assert found == {Loader.TRAINNER, Loader.KAIR, Loader.HF}
