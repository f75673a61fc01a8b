"""Names that never collide, files that appear whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from twimager.errors import TwimagerError
from twimager.output.atomic import UnwritableName, write_files
from twimager.output.names import flat_names

RUN = "f" * 32


def named(*paths: str) -> dict[str, str]:
    folder = Path("in")
    return {str(p.relative_to(folder)): name for p, name in flat_names([folder / p for p in paths], folder).items()}


def test_a_lone_stem_is_the_name() -> None:
    assert named("a.jpg", "sub/b.png") == {"a.jpg": "a", str(Path("sub/b.png")): "b"}


def test_equal_stems_get_different_names() -> None:
    names = named("a.jpg", "a.png", "x/a.png", "y/a.png")
    assert sorted(names.values()) == ["a_jpg", "a_png", "x_a", "y_a"]


def test_the_frames_of_a_folder_stay_together() -> None:
    assert sorted(named("1/07.png", "1/08.png", "2/07.png").values()) == ["1_07", "1_08", "2_07"]
    assert sorted(named("1/07.png", "1/08.png", "2/09.png").values()) == ["07", "08", "09"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a b, c$.d.png", "a-b-c-d"), ("Ünïcode.png", "Unicode"), ("日本.png", "image"), ("-x_1-.png", "x_1")],
)
def test_safe_names_have_no_characters_that_lists_and_databases_split_at(path: str, expected: str) -> None:
    assert list(flat_names([Path("in") / path], Path("in"), safe=True).values()) == [expected]


def test_names_are_unique_once_they_are_safe() -> None:
    names = flat_names(
        [Path("in") / name for name in ("a b.png", "a,b.png", "a-b.jpg", "a-b.webp")], Path("in"), safe=True
    )
    assert sorted(names.values()) == ["a-b_jpg", "a-b_png", "a-b_png_2", "a-b_webp"]


def test_names_differ_in_more_than_case() -> None:
    assert len({name.casefold() for name in named("A.png", "a.jpg").values()}) == 2


def test_a_made_up_name_never_meets_a_real_one() -> None:
    names = named("a.jpg", "a.png", "a_jpg.png", "x/a.png", "x_a.png", "x_a_png.tif")
    assert len(set(names.values())) == 6


def test_names_do_not_depend_on_the_order_of_the_list() -> None:
    paths = ["a.jpg", "a.png", "x/a.png", "x_a_png.jpg"]
    assert named(*paths) == named(*reversed(paths))


def test_files_are_written_whole(tmp_path: Path) -> None:
    write_files({tmp_path / "LR" / "a.png": b"l", tmp_path / "HR" / "a.png": b"h"}, RUN)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["a.png", "a.png"]


@pytest.mark.parametrize("failing", ["write", "first name", "second name"])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    link, calls = os.link, []

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def named(source: Path, target: Path, **folders: object) -> None:
        calls.append(target)
        full() if len(calls) == (1 if failing == "first name" else 2) else link(source, target, **folders)

    if failing == "write":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(os, "link", named)
        monkeypatch.setattr(os, "rename", full)
    with pytest.raises(TwimagerError, match="No space left on device"):
        write_files({tmp_path / "LR" / "a.png": b"l", tmp_path / "HR" / "a.png": b"h"}, RUN)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_name_too_long_concerns_one_file(tmp_path: Path) -> None:
    with pytest.raises(UnwritableName):
        write_files({tmp_path / ("a" * 300): b""}, RUN)
    assert list(tmp_path.iterdir()) == []
