"""No link below DEST is written through, be it there from the start or put there meanwhile, without the option."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import Run, refused
from tests.support.folders import Folders, contents
from tests.support.marks import links
from tests.support.report import report_of
from twimager.errors import UsageError
from twimager.output.atomic import remove_temporary, write_files
from twimager.review.review import Review
from twimager.run import writer
from twimager.runtime.folders import HAS_DESCRIPTORS, Folder, LinkInDest, is_link, open_file, opened

pytestmark = links

RUN = "d" * 32


@pytest.fixture(params=["descriptors", "paths"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With descriptors of folders and, as on Windows, without."""
    if request.param == "paths":
        monkeypatch.setattr("twimager.runtime.folders.HAS_DESCRIPTORS", False)
        monkeypatch.setattr("twimager.runtime.folders.NO_LINK", 0)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder outside DEST, and files of somebody in it."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("victim", "journal.jsonl", f".twimager-{RUN}-1.tmp"):
        (folder / name).write_text("theirs")
    return folder


LINKS = {
    "LR": ".", "HR": ".", ".twimager": ".", ".twimager/lock": "victim", ".twimager/journal.jsonl": "victim",
    ".twimager/found.sqlite": "gone", ".twimager/found.sqlite-journal": "victim", "report.json": "victim",
    "report.html": "gone", "pairs.csv": "victim", "meta_info.txt": "victim", "meta_info_pair.txt": "gone",
}  # fmt: skip


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("hard", [False, True])
def test_a_link_in_dest_is_refused_and_named(
    run: Run, folders: Folders, elsewhere: Path, name: str, hard: bool
) -> None:
    link, target = folders.dest / name, elsewhere / LINKS[name]
    link.parent.mkdir(parents=True)
    if hard:
        if not (target.is_file() and link.parent.name == ".twimager"):
            pytest.skip("other files are replaced, not written into")
        os.link(target, link)
    else:
        link.symlink_to(target)
    before = contents(folders.dest), contents(elsewhere)
    for flags in (("--overwrite",), ("--resume",)):
        outcome = run(*folders.flags, "--report", "--meta_info", *flags)
        refused(outcome, 2, f"{link} is a {'hard ' * hard}link;", "--follow_dest_links")
    assert (contents(folders.dest), contents(elsewhere)) == before
    assert len(list(folders.dest.rglob("*"))) == len(Path(name).parts)


def test_links_are_followed_with_the_option(run: Run, folders: Folders, tmp_path: Path) -> None:
    plain = folders.dest.with_name("plain")
    assert run(*folders.flags[:4], "--dest", plain).code == 0
    for name in ("LR", "HR", ".twimager"):
        (tmp_path / "disk" / name).mkdir(parents=True)
        folders.dest.mkdir(exist_ok=True)
        (folders.dest / name).symlink_to(tmp_path / "disk" / name)
    assert run(*folders.flags, "--overwrite", "--follow_dest_links").code == 0
    assert contents(tmp_path / "disk") == contents(plain)
    refused(run(*folders.flags, "--resume"), 2, "--follow_dest_links")
    assert run(*folders.flags, "--resume", "--follow-dest-links").code == 0


def test_dest_itself_may_be_a_link(run: Run, folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    folders.dest.symlink_to(tmp_path / "disk")
    assert run(*folders.flags, "--report").code == 0
    assert {"LR", "HR", ".twimager", "report.json"} <= {path.name for path in (tmp_path / "disk").iterdir()}
    assert run(*folders.flags, "--report", "--resume").code == 0


def test_a_folder_that_becomes_a_link_meanwhile_ends_the_run(
    run: Run, folders: Folders, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, either_way: None
) -> None:
    render = writer.encoded_hr

    def meanwhile(pair, *how):
        shutil.rmtree(folders.dest / "HR", ignore_errors=True)
        if not is_link(folders.dest / "HR"):
            (folders.dest / "HR").symlink_to(elsewhere)
        return render(pair, *how)

    monkeypatch.setattr(writer, "encoded_hr", meanwhile)
    before = contents(elsewhere)
    outcome = run(*folders.flags, "--jobs", 1, "--report")
    refused(outcome, 1, f"{folders.dest / 'HR'} is a link")
    assert contents(elsewhere) == before


def test_what_is_open_is_what_is_written_to(tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is swapped at the worst moment: after it was looked at."""
    if not HAS_DESCRIPTORS:
        pytest.skip("no descriptors of folders here")
    dest, before, open_in = tmp_path / "out", contents(elsewhere), Folder.open

    def swapped(folder: Folder, name: str, mode: str, **more: object):
        (dest / "HR").rename(tmp_path / "moved")
        (dest / "HR").symlink_to(elsewhere)
        monkeypatch.setattr(Folder, "open", open_in)
        return open_in(folder, name, mode)

    monkeypatch.setattr(Folder, "open", swapped)
    write_files({dest / "HR/victim": b"ours"}, RUN, replace=True, dest=dest)
    assert contents(elsewhere) == before
    assert contents(tmp_path / "moved") == {"victim": b"ours"}


def test_half_written_files_are_not_looked_for_through_links(
    folders: Folders, elsewhere: Path, either_way: None
) -> None:
    before = contents(elsewhere)
    folders.dest.mkdir()
    (folders.dest / "LR").symlink_to(elsewhere)
    remove_temporary(folders.dest, RUN)
    assert contents(elsewhere) == before
    remove_temporary(folders.dest, RUN, follow_links=True)
    assert len(contents(elsewhere)) == len(before) - 1


def test_a_pipe_for_a_file_is_not_waited_for(run: Run, folders: Folders) -> None:
    for name in ("lock", "journal.jsonl"):
        shutil.rmtree(folders.dest, ignore_errors=True)
        (folders.dest / ".twimager").mkdir(parents=True)
        os.mkfifo(folders.dest / ".twimager" / name)
        refused(run(*folders.flags, "--resume"), 1, "not a regular file")


def test_a_pipe_in_place_of_an_output_is_not_waited_for(run: Run, folders: Folders) -> None:
    run(*folders.flags)
    journal = folders.dest / ".twimager/journal.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    (folders.dest / "LR/h0.png").unlink()
    os.mkfifo(folders.dest / "LR/h0.png")
    outcome = run(*folders.flags, "--resume")
    assert outcome.code == 3
    assert "h0.png is there already, and not of this job" in outcome.err


def test_files_are_opened_in_their_folder_only(tmp_path: Path, elsewhere: Path, either_way: None) -> None:
    dest = tmp_path / "out"
    (dest / "in").mkdir(parents=True)
    (dest / "link").symlink_to(elsewhere)
    (dest / "in/link").symlink_to(elsewhere / "victim")
    os.link(elsewhere / "victim", dest / "in/hard")
    for name, mode in (
        ("link/victim", "rb"),
        ("link/new", "xb"),
        ("in/link", "rb"),
        ("in/link", "wb"),
        ("in/hard", "wb"),
    ):
        with pytest.raises(LinkInDest, match="link"):
            open_file(dest / name, mode, dest)
    with open_file(dest / "in/hard", "rb", dest) as file:
        assert file.read() == b"theirs"
    with open_file(dest / "link/victim", "rb", None) as file:
        assert file.read() == b"theirs"
    with pytest.raises(OSError, match=r"not a regular file|directory|Permission"):
        open_file(dest / "in", "rb", dest)
    with pytest.raises(LinkInDest), opened(dest / "link/deeper", dest, make=True):
        pass
    assert (elsewhere / "victim").read_text() == "theirs"
    assert not (elsewhere / "deeper").exists()


def as_link(path: Path, target: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize("name", [".twimager", ".twimager/lock", ".twimager/trash", "report.html", "LR", "report.json"])
def test_a_review_refuses_links(run: Run, folders: Folders, elsewhere: Path, name: str) -> None:
    run(*folders.flags, "--report")
    if name == "report.json":
        shutil.copy(folders.dest / name, elsewhere)
    target = elsewhere / name if name == "report.json" else elsewhere
    as_link(folders.dest / name, target / "victim" if name == ".twimager/lock" else target)
    before = contents(elsewhere)
    with pytest.raises(UsageError, match="is a link"):
        Review(folders.dest / "report.json")
    assert contents(elsewhere) == before


def test_a_page_that_is_a_link_is_replaced_and_not_followed(run: Run, folders: Folders, elsewhere: Path) -> None:
    run(*folders.flags, "--report")
    as_link(folders.dest / "report.html", elsewhere / "victim")
    assert run("gallery", folders.dest / "report.json").code == 0
    assert (elsewhere / "victim").read_text() == "theirs"
    assert report_of(folders.dest)["pairs"]


@pytest.mark.parametrize("name", ["cluster_with_2", "cluster_with_2/cluster_1", "clusters.html"])
def test_clusters_are_not_written_through_links(run: Run, folders: Folders, elsewhere: Path, name: str) -> None:
    shutil.copy(folders.hr / "h0.png", folders.hr / "again.png")
    command = "cluster", folders.hr, "--dest", folders.dest, "--overwrite"
    assert run(*command).code == 0
    as_link(folders.dest / name, elsewhere)
    before = contents(elsewhere)
    refused(run(*command), 2, f"{folders.dest / name} is a link")
    assert contents(elsewhere) == before


@pytest.mark.parametrize("how", [[], ["--copy"], ["--hardlink"]])
def test_a_cluster_that_becomes_a_link_meanwhile_ends_it(
    run: Run, folders: Folders, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, how: list[str],
    either_way: Callable[..., None],
) -> None:  # fmt: skip
    from twimager.cluster import links

    link = links.Linker.link

    def meanwhile(linker: links.Linker, image: Path, target: Path) -> None:
        if not is_link(folders.dest / "cluster_with_1"):
            as_link(folders.dest / "cluster_with_1", elsewhere)
        link(linker, image, target)

    monkeypatch.setattr(links.Linker, "link", meanwhile)
    folders.dest.mkdir()
    before = contents(elsewhere)
    refused(run("cluster", folders.hr, "--dest", folders.dest, *how), 1, "cluster_with_1 is a link")
    assert contents(elsewhere) == before
