"""The file system as it is: links, odd names, folders that can't be read, files that change or vanish."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import sys
from pathlib import Path

import cv2
import pytest

from tests.support.command import Run, refused
from tests.support.folders import KEPT, Folders, contents
from tests.support.marks import links
from tests.support.pictures import cat
from tests.support.report import report_of
from twimager.errors import TwimagerError, UnreadableImage
from twimager.fingerprint.fingerprint import LIGHT_HR
from twimager.fingerprint.working_image import picture
from twimager.image.files import list_files, read_bytes
from twimager.output import atomic
from twimager.output.atomic import write_files
from twimager.pairing import candidates, read
from twimager.run import writer

RUN = "e" * 32
posix = pytest.mark.skipif(os.name != "posix", reason="has no pipes among its files")


@links
def test_links_are_followed_and_loops_survived(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "outside"
    for path in (folder / "a/deep/1.png", folder / "b/2.png", outside / "3.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (folder / "a/deep/up").symlink_to(folder)
    (folder / "a/self").symlink_to(".")
    (folder / "0_again").symlink_to(folder / "b")
    (folder / "out").symlink_to(outside)
    (folder / "out_again").symlink_to(outside)
    (outside / "back").symlink_to(folder)
    (folder / "file.png").symlink_to(outside / "3.png")
    (folder / "broken.png").symlink_to(tmp_path / "gone.png")
    (folder / "ring.png").symlink_to(folder / "ring.png")
    found = [path.relative_to(folder).as_posix() for path in list_files(folder, True, pytest.fail)]
    assert found == ["a/deep/1.png", "b/2.png", "broken.png", "file.png", "out/3.png", "ring.png"]
    assert [path.name for path in list_files(folder, False, pytest.fail)] == ["broken.png", "file.png", "ring.png"]


@links
def test_a_linked_folder_is_read_and_a_broken_link_named(run: Run, folders: Folders) -> None:
    real = folders.hr.with_name("elsewhere")
    folders.hr.rename(real)
    folders.hr.mkdir()
    (folders.hr / "linked").symlink_to(real)
    (folders.hr / "gone.png").symlink_to(real / "gone.png")
    outcome = run(*folders.flags, "--recursive")
    assert outcome.code == 3
    assert "pairs written: 2" in outcome.out
    assert "gone.png: unreadable: No such file or directory" in outcome.err


@pytest.fixture
def special(folders: Folders) -> Folders:
    """Pipes, sockets, devices and files without an end among the images of both sides, 7 and 4 a side."""
    for folder in folders[:2]:
        for name in ("pipe.png", "pipe2.png", "pipe"):
            os.mkfifo(folder / name)
        for name in ("zero.jpg", "null.png"):
            (folder / name).symlink_to(f"/dev/{Path(name).stem}")
        (folder / "linked.png").symlink_to(folder / "pipe.png")
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(os.path.relpath(folder / "socket.png"))
        if sys.platform == "linux":
            (folder / "kmsg.png").symlink_to("/proc/kmsg")
    return folders


@posix
def test_what_is_not_regular_is_named_once_a_kind_and_counted(run: Run, special: Folders) -> None:
    outcome = run(*special.flags, "--report")
    assert outcome.code == 3
    assert "pairs written: 2" in outcome.out
    endless = 2 * (sys.platform == "linux")
    assert f"files that could not be read: {2 * 7 + endless}" in outcome.out
    lines = outcome.err.splitlines()
    assert len(lines) == 3 + 3 + endless, lines
    for kind, number in (("named pipe", 8), ("device", 4), ("socket", 2)):
        assert sum(line.endswith(f": not a regular file: a {kind}") for line in lines) == 1
        assert f"{number - 1} more {kind}{'s' * (number > 2)}: not a regular file" in lines
    assert sum(line.endswith("kmsg.png: unreadable: empty file") for line in lines) == endless
    reasons = [image["reason"] for image in report_of(special.dest)["rejected_images"]]
    assert reasons.count("not a regular file") == 14


@posix
def test_no_command_waits_for_what_is_not_regular(run: Run, special: Folders) -> None:
    image, pipe = special.hr / "h0.png", special.hr / "pipe.png"
    for arguments, lines in (
        (["search", image, "--in", special.lr], 1),
        (["search", pipe, image, "--in", special.lr, "--no_mirror"], 2),
        (["compare", pipe, image], 1),
        (["compare", special.lr], 4),
        (["cluster", special.lr, special.hr, "--dry"], 1),
    ):
        outcome = run(*arguments)
        assert outcome.code == 3, outcome.err
        assert len([line for line in outcome.err.splitlines() if line.endswith("a named pipe")]) == lines


@posix
def test_a_run_goes_on_though_a_device_was_used_meanwhile(run: Run, folders: Folders) -> None:
    os.mkfifo(folders.lr / "pipe.png")
    assert run(*folders.flags).code == 3
    os.utime(folders.lr / "pipe.png", ns=(1, 1))
    assert run(*folders.flags, "--resume").code == 3


def test_no_more_is_read_than_a_file_holds(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of one that grows, or that the system makes up as it is read."""
    path = folders.hr / "h0.png"
    whole = path.read_bytes()
    status = os.stat(path)
    monkeypatch.setattr(os, "fstat", lambda _: os.stat_result((status.st_mode, *status[1:6], 40, *status[7:])))
    assert read_bytes(path) == whole[:40]


def test_a_folder_that_cannot_be_read_is_said_once(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    (folders.hr / "closed").mkdir()
    iterdir = Path.iterdir

    def guarded(path: Path):
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", guarded)
    refused(run("--lr", folders.hr / "closed", "--hr", folders.lr, "--dry"), 2, "--lr", "can't be looked into")
    outcome = run(*folders.flags, "--recursive")
    assert outcome.code == 0
    assert outcome.err.splitlines() == [f"{folders.hr / 'closed'}: can't be looked into: Permission denied"]


def test_a_file_that_cannot_be_read_is_named(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(folders.hr / "h0.png", folders.hr / "closed.png")
    opened = os.open

    def guarded(path, *how, **more):
        if os.fsdecode(path).endswith("closed.png"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *how, **more)

    monkeypatch.setattr(os, "open", guarded)
    outcome = run(*folders.flags)
    assert outcome.code == 3
    assert "closed.png: unreadable: Permission denied" in outcome.err
    assert "pairs written: 2" in outcome.out


NAMES = ["with space", "dot.dot..png", "-dash", "emoji \U0001f39e", "A", "quote\"'`$(x)", "e\u0301", "%s{0}"]
if sys.platform == "linux":
    NAMES += ["line\nbreak", "tab\tend", os.fsdecode(b"latin-\xe9"), "n" * 251, "\x1b[31mred"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_kept_as_they_are(run: Run, folders: Folders, name: str) -> None:
    (folders.lr / "l0.png").rename(folders.lr / f"{name}.png")
    (folders.hr / "h0.png").rename(folders.hr / f"{name}.png")
    outcome = run(*folders.flags, "--report", "--verbose")
    assert outcome.code == 0
    assert set(contents(folders.dest)) == {f"{s}/{n}.png" for s in ("LR", "HR") for n in (name, "h1")} | {*KEPT}
    assert {Path(pair["hr"]).name for pair in report_of(folders.dest)["pairs"]} == {f"{name}.png", "h1.png"}
    assert all(character.isprintable() for line in outcome.err.splitlines() for character in line)
    assert run(*folders.flags, "--report", "--resume").code == 0


def test_a_name_that_gets_too_long_costs_its_pair(run: Run, folders: Folders) -> None:
    (folders.hr / "h0.png").rename(folders.hr / f"{'n' * 250}.png")
    outcome = run(*folders.flags, "--suffix", "longer")
    assert outcome.code == 3
    assert "could not be written" in outcome.err
    assert set(contents(folders.dest)) == {"HR/h1_longer.png", "LR/h1_longer.png"}


@pytest.mark.parametrize("what", ["vanishes", "shrinks", "changes", "is cut"])
@pytest.mark.parametrize("side", ["lr", "hr"])
def test_an_image_that_changes_meanwhile_is_not_written(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch, side: str, what: str
) -> None:
    """The first pair's, once all are read."""
    path = getattr(folders, side) / f"{side[0]}0.png"
    refine, whole, pixels = candidates.refine, path.read_bytes(), cv2.imread(str(path))
    other = cat()[:9, :9] if what == "shrinks" else pixels[::-1]
    becomes = whole[:1000] if what == "is cut" else cv2.imencode(".png", other)[1].tobytes()

    def meanwhile(*arguments):
        if what == "vanishes":
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(becomes)
        return refine(*arguments)

    monkeypatch.setattr(candidates, "refine", meanwhile)
    outcome = run(*folders.flags, "--report")
    assert outcome.code == 3
    assert "Traceback" not in outcome.err
    assert set(contents(folders.dest)) == {"LR/h1.png", "HR/h1.png", *KEPT}
    assert "could not be written" in outcome.err or "unreadable" in json.dumps(report_of(folders.dest))


def test_pixels_of_another_size_are_not_cut_as_before(folders: Folders) -> None:
    image = read.read_fingerprint(read.File(folders.hr / "h0.png"), LIGHT_HR)
    cv2.imwrite(str(folders.hr / "h0.png"), cat()[:90, :90])
    with pytest.raises(UnreadableImage, match="changed"), picture(image):
        pass


def test_sources_are_left_as_they_are(run: Run, folders: Folders) -> None:
    """Nothing is written into them, be they on read-only media."""
    before = {path: path.stat() for folder in (folders.lr, folders.hr) for path in (folder, *folder.iterdir())}
    assert run(*folders.flags).code == 0
    after = {path: path.stat() for folder in (folders.lr, folders.hr) for path in (folder, *folder.iterdir())}
    assert {p: s.st_mtime_ns for p, s in before.items()} == {p: s.st_mtime_ns for p, s in after.items()}


@pytest.mark.parametrize("linking", [True, False])
def test_a_file_that_is_there_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linking: bool) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not linking:
        monkeypatch.setattr(os, "link", no_links)
    first, second = tmp_path / "LR" / "a.png", tmp_path / "HR" / "a.png"
    second.parent.mkdir()
    second.write_bytes(b"theirs")
    with pytest.raises(atomic.UnwritableName, match="is there already"):
        write_files({first: b"l", second: b"h"}, RUN)
    assert second.read_bytes() == b"theirs"
    assert contents(tmp_path) == {"HR/a.png": b"theirs"}
    write_files({first: b"l", second: b"h"}, RUN, replace=True)
    write_files({first: b"l", second: b"h"}, RUN)
    assert contents(tmp_path) == {"HR/a.png": b"h", "LR/a.png": b"l"}


@pytest.mark.parametrize("staged", [True, False])
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, staged: bool) -> None:
    (tmp_path / "LR").write_bytes(b"a file")
    with pytest.raises(TwimagerError, match=r"cannot write .*LR: .*--resume"):
        write_files({tmp_path / "LR/a.png": b""}, "run", dest=tmp_path, staging=tmp_path / "T" if staged else None)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(122, "Disk quota exceeded")])
def test_permission_lost_half_way_ends_the_run_and_resume_goes_on(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    flush, files = atomic.sync_file, []

    def lost(descriptor: int) -> None:
        files.append(stat.S_ISREG(os.fstat(descriptor).st_mode))
        if sum(files) > 3:
            raise error
        flush(descriptor)

    whole = folders.dest.with_name("whole")
    assert run(*folders.flags[:4], "--dest", whole).code == 0
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "sync_file", lost)
        refused(run(*folders.flags, "--jobs", 1), 1, error.strerror, "--resume")
    left = contents(folders.dest)
    assert len(left) == 2
    assert left.items() <= contents(whole).items()
    assert run(*folders.flags, "--resume").code == 0
    assert contents(folders.dest) == contents(whole)


def test_what_appears_in_dest_meanwhile_is_not_replaced(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    render = writer.encoded_hr

    def meanwhile(pair, *how):
        if pair.proposal.hr.path.name == "h0.png":
            (folders.dest / "HR").mkdir(exist_ok=True)
            (folders.dest / "HR/h0.png").write_bytes(b"theirs")
        return render(pair, *how)

    monkeypatch.setattr(writer, "encoded_hr", meanwhile)
    outcome = run(*folders.flags)
    assert outcome.code == 3
    assert "h0.png is there already, and not of this job" in outcome.err
    assert (folders.dest / "HR/h0.png").read_bytes() == b"theirs"
    assert set(contents(folders.dest)) == {"HR/h0.png", "HR/h1.png", "LR/h1.png"}
