"""A run that is stopped, by whatever it is, goes on and ends as one that was never stopped."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.command import Run, refused
from tests.support.folders import KEPT, Folders, contents
from tests.support.interruption import interrupted_when_written
from tests.support.marks import linux
from tests.support.paths import ROOT
from tests.support.processes import Job, wait_for_handlers, wait_for_none
from tests.support.report import report_of
from twimager.fingerprint.decoded_image import DecodedImage, decode_image
from twimager.fingerprint.fingerprint import Recipe
from twimager.image import decoders
from twimager.output.layout import JOURNALS
from twimager.output.lock import LOCK
from twimager.pairing import read
from twimager.report.ledger import Ledger
from twimager.run import writer
from twimager.run.journal import STORE
from twimager.run.journal_lines import JOURNAL

posix = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return Job(tmp_path_factory.mktemp("job"))


@pytest.fixture(scope="module")
def undisturbed(job: Job) -> tuple[dict[str, bytes], str, float]:
    """The files and the summary of a run that nothing stops, and its seconds."""
    started = time.monotonic()
    code, out, _ = job.finish(job.folder / "undisturbed")
    seconds = time.monotonic() - started
    assert code == 0
    assert not (job.folder / "undisturbed" / JOURNALS / STORE).exists()
    return contents(job.folder / "undisturbed"), out, seconds


def stop(job: Job, dest: Path, delay: float, number: int) -> tuple[int, str, str, float]:
    """Run into DEST and send a signal after so many seconds; also return how long the end took from there."""
    with job.start(dest, "--resume") as process:
        wait_for_handlers(process)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        sent = time.monotonic()
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err, time.monotonic() - sent


@pytest.fixture
def fruitless(run: Run, folders: Folders) -> Folders:
    """A run that has ended and found no pair."""
    assert run(*folders.flags, "--search", "names").code == 4
    return folders


@posix
@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_stopped_at_any_moment_it_ends_as_if_it_had_not_been(job: Job, undisturbed, tmp_path: Path, name: str) -> None:
    files, summary, seconds = undisturbed
    number, moments, stopped, rounds = getattr(signal, name), random.Random(6), 0, 0
    code = -number if name == "SIGKILL" else 130
    while stopped < (6 if name == "SIGKILL" else 3):
        dest = tmp_path / str(rounds)
        assert rounds < 60
        while True:
            ended, out, err, took = stop(job, dest, moments.uniform(0, seconds), number)
            if ended != code:
                break
            stopped += 1
            assert took < 30
            if name != "SIGKILL":
                assert err.splitlines()[-1].startswith("twimager: interrupted")
                assert "Traceback" not in err
            if sys.platform == "linux":
                wait_for_none(job)
        assert ended == 0, err
        assert out.replace(str(dest), "") == summary.replace(str(job.folder / "undisturbed"), "")
        assert contents(dest) == files
        rounds += 1


@posix
def test_an_interrupted_run_says_so_and_keeps_its_report(job: Job, undisturbed, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    with job.start(dest, "--report", "--jobs", 1) as process:
        journal = dest / JOURNALS / JOURNAL
        while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 1):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "twimager: interrupted; the same command with --resume goes on"
    report = report_of(dest)
    assert 1 <= len(report["pairs"]) < 9
    assert {image["reason"] for image in report["rejected_images"]} >= {"not reached"}
    assert not list(dest.rglob("*.tmp"))
    assert job.finish(dest, "--report", "--resume")[0] == 0
    assert {k: v for k, v in contents(dest).items() if k not in KEPT} == undisturbed[0]
    assert len(report_of(dest)["pairs"]) == 9


@linux
@pytest.mark.parametrize("busy", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_second_signal_ends_it_at_once(job: Job, tmp_path: Path, busy: bool) -> None:
    """Also a run whose main thread is busy in a library."""
    script = tmp_path / "busy.py"
    deaf = "print(flush=True); hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"
    sleep = "try: print(flush=True); time.sleep(60)\n    finally: time.sleep(60)"
    script.write_text(
        "import hashlib, sys, time\nfrom twimager.cli.main import main\nfrom twimager.run import job\n"
        f"def work(*_, **__):\n    {deaf if busy else sleep}\n"
        "job.find_pairs = work\nsys.exit(main())\n"
    )
    command = [sys.executable, script, "--lr", job.folder / "LR", "--hr", job.folder / "HR", "--dest", tmp_path / "out"]
    for signals, least, most in ((1, 2, 3), (2, 0, 1)):
        with subprocess.Popen(
            [*map(str, command), "--resume"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as process:  # fmt: skip
            assert process.stdout
            process.stdout.readline()
            time.sleep(0.1)
            started = time.monotonic()
            for _ in range(signals):
                process.send_signal(signal.SIGINT)
                time.sleep(0.2)
            _, err = process.communicate()
        assert process.returncode == 130
        assert least <= time.monotonic() - started < most
        assert err == "twimager: interrupted; the same command with --resume goes on\n"


@posix
def test_a_caller_of_ours_lives_on(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    accept = Ledger.accept

    def once(ledger: Ledger, record) -> None:
        accept(ledger, record)
        if len(ledger) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "accept", once)
        refused(run(*folders.flags), 130, "interrupted", "--resume")
    assert run(*folders.flags, "--resume").code == 0
    assert len(contents(folders.dest)) == 4


@linux
@pytest.mark.slow
def test_a_disk_that_fills_up_ends_the_run_and_more_room_lets_it_go_on(job: Job, undisturbed, tmp_path: Path) -> None:
    files, _, _ = undisturbed
    disk = tmp_path / "disk"
    disk.mkdir()
    whole = sum(map(len, files.values())) // 1024
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        for share in (0.1, 0.3, 0.6, 0.9):
            subprocess.run(["mount", "-o", f"remount,size={int(whole * share)}k", disk], check=True)
            code, out, err = job.finish(disk / "out", "--resume", "--quiet")
            assert (code, out) == (1, ""), err
            assert err.splitlines()[-1].startswith(f"twimager: cannot write {disk / 'out'}")
            assert "No space left on device" in err
            assert len(err.splitlines()) <= 3  # two animations
            left = contents(disk / "out")
            assert all(files[name] == data for name, data in left.items())
        subprocess.run(["mount", "-o", f"remount,size={whole * 4}k", disk], check=True)
        assert job.finish(disk / "out", "--resume")[0] == 0
        assert contents(disk / "out") == files
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.fixture
def work_done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are fingerprinted or rendered, as they are."""
    names: list[str] = []
    render = writer.encoded_hr

    def counted(path: Path, recipe: Recipe) -> DecodedImage:
        names.append(path.name)
        return decode_image(path, recipe)

    def rendered(pair, *how):
        names.append(f"rendered {pair.proposal.hr.path.name}")
        return render(pair, *how)

    monkeypatch.setattr(read, "decode_image", counted)
    monkeypatch.setattr(writer, "encoded_hr", rendered)
    return names


@pytest.fixture
def interrupted(run: Run, folders: Folders) -> Folders:
    """A run that was interrupted when its first pair was written."""
    with interrupted_when_written():
        outcome = run(*folders.flags, "--jobs", 1)
    refused(outcome, 130, "interrupted", "--resume")
    assert (folders.dest / JOURNALS / STORE).exists()
    return folders


def test_nothing_is_done_twice(run: Run, interrupted: Folders, work_done: list[str]) -> None:
    done = {name: (interrupted.dest / name).stat() for name in contents(interrupted.dest)}
    assert "HR/h0.png" in done
    outcome = run(*interrupted.flags, "--resume", "--jobs", 2)
    assert outcome.code == 0
    assert "pairs written: 2" in outcome.out
    assert set(work_done) <= {"rendered h1.png"}
    assert all((interrupted.dest / name).stat() == status for name, status in done.items())
    assert not (interrupted.dest / JOURNALS / STORE).exists()


def test_a_run_that_was_killed_as_it_named_a_file_goes_on(run: Run, interrupted: Folders) -> None:
    """The temporary file is there still, under the image's other name."""
    hidden = interrupted.dest / JOURNALS
    begun = json.loads((hidden / JOURNAL).read_text(encoding="utf-8").splitlines()[0])
    os.link(interrupted.dest / "HR/h0.png", hidden / f".twimager-{begun['run']}-0.tmp")
    outcome = run(*interrupted.flags, "--resume")
    assert "pairs written: 2" in outcome.out
    assert not list(hidden.glob("*.tmp"))


def test_a_run_that_has_ended_has_nothing_left_to_do(run: Run, folders: Folders, work_done: list[str]) -> None:
    (folders.lr / "notes.txt").write_text("not an image")
    first = run(*folders.flags, "--report")
    files = contents(folders.dest)
    work_done.clear()
    assert run(*folders.flags, "--resume", "--report") == (first.code, first.out, "")
    assert work_done == []
    assert contents(folders.dest) == files


def test_resume_starts_where_there_is_nothing(run: Run, folders: Folders) -> None:
    assert run(*folders.flags, "--resume").code == 0
    shutil.rmtree(folders.dest)
    (folders.dest / JOURNALS).mkdir(parents=True)
    (folders.dest / JOURNALS / JOURNAL).write_bytes(b'{"run": "torn')
    assert run(*folders.flags, "--resume").code == 0


def test_other_settings_are_refused_by_name(run: Run, interrupted: Folders) -> None:
    left = contents(interrupted.dest)
    for flags, words in (
        (("--scale", 3), ("--scale 2, not --scale 3",)),
        (("--crop", 4, 4), ("no --crop, not --crop 4 4",)),
        (("--no_mirror",), ("no --no_mirror, not --no_mirror",)),
        (("--prefix", "x"), ("no --prefix, not --prefix x",)),
        (("--max_pixels", 10**7), ("--max_pixels 200000000, not --max_pixels 10000000",)),
    ):
        refused(run(*interrupted.flags, "--resume", *flags), 2, "--resume", *words)
    assert contents(interrupted.dest) == left
    assert run(*interrupted.flags, "--resume", "--jobs", 3, "--report", "--verbose").code == 0


def test_other_images_or_another_version_are_refused(run: Run, interrupted: Folders) -> None:
    os.utime(interrupted.hr / "h1.png", ns=(1, 1))
    refused(run(*interrupted.flags, "--resume"), 2, "--resume", "the files in --hr have changed")
    journal = interrupted.dest / JOURNALS / JOURNAL
    journal.write_text(journal.read_text().replace("twimager 0.", "twimager 9."))
    refused(run(*interrupted.flags, "--resume"), 2, "--resume", "was begun by twimager 9.")


@pytest.mark.parametrize(
    "line",
    [
        '{"lr": 1, "hr": 2, "files": 3}',
        '{"lr": [], "hr": {}, "files": {}}',
        '{"lr": "a", "hr": "b", "files": {"c": ["1", 2]}}',
        '{"lr": "a", "hr": "b", "files": {"c": [1]}}',
        '{"hr": "b", "files": {}}',
        '{"lr": "a", "hr": "b", "deleted": "no"}',
        '{"summary": "x", "exit_code": 77}',
        '{"summary": {}, "exit_code": 0}',
        "[" * 100_000,
    ],
)
def test_a_damaged_journal_is_refused(run: Run, interrupted: Folders, line: str) -> None:
    with (interrupted.dest / JOURNALS / JOURNAL).open("a") as journal:
        journal.write(line + "\n")
    left = contents(interrupted.dest)
    refused(run(*interrupted.flags, "--resume"), 2, "damaged", "--overwrite")
    assert contents(interrupted.dest) == left
    assert run(*interrupted.flags, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pairs", "2"), ("pairs", None), ("pairs", 10**400), ("written", 1), ("lr_left", None), ("lr_left", {"a": "b"}),
        ("scale", 1e308), ("median_native_scale", 1e308), ("median_native_scale", 0), ("dest", 5), ("documents", []),
        ("exit_code", 77),
    ],
)  # fmt: skip
def test_an_end_that_is_none_is_refused(run: Run, folders: Folders, key: str, value: object) -> None:
    run(*folders.flags)
    path = folders.dest / JOURNALS / JOURNAL
    *lines, last = path.read_text().splitlines()
    end = json.loads(last)
    end["summary"][key] = value
    path.write_text("\n".join([*lines, json.dumps(end)]) + "\n")
    refused(run(*folders.flags, "--resume"), 2, "damaged", "--overwrite")


@pytest.mark.parametrize(
    "head", [{"run": 12345678901234567890123456789012}, {"overwrite": 1}, {"settings": []}, {"inputs": 1}]
)
def test_a_beginning_that_is_none_is_refused(run: Run, interrupted: Folders, head: dict[str, object]) -> None:
    path = interrupted.dest / JOURNALS / JOURNAL
    first, *lines = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(first), **head}), *lines]) + "\n")
    left = contents(interrupted.dest)
    outcome = run(*interrupted.flags, "--resume")
    refused(outcome, 2, "--overwrite")
    assert contents(interrupted.dest) == left


def test_a_torn_line_is_forgotten(run: Run, interrupted: Folders) -> None:
    path = interrupted.dest / JOURNALS / JOURNAL
    path.write_bytes(path.read_bytes()[:-9])
    assert run(*interrupted.flags, "--resume").code == 0
    assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.parametrize(
    "torn",
    [
        lambda data: b"",
        lambda data: bytes(4096),
        lambda data: data[:100],
        lambda data: data[:100] + bytes(len(data) - 100),
        lambda data: bytes(512) + data[512:],
    ],
    ids=["empty", "zeros", "cut", "cut, then zeros", "its beginning is zeros"],
)
def test_a_journal_whose_first_line_is_lost_is_begun_anew(
    run: Run, interrupted: Folders, torn, work_done: list[str]
) -> None:
    path = interrupted.dest / JOURNALS / JOURNAL
    path.write_bytes(torn(path.read_bytes()))
    before = contents(interrupted.dest)
    refused(run(*interrupted.flags), 2, "not empty")
    assert run(*interrupted.flags, "--resume").code == 0
    assert contents(interrupted.dest).items() >= before.items()
    assert len(contents(interrupted.dest)) == 4
    assert {"rendered h0.png", "rendered h1.png"} <= set(work_done)


def test_a_journal_whose_first_line_is_lost_lets_nothing_be_replaced(run: Run, interrupted: Folders) -> None:
    (interrupted.dest / JOURNALS / JOURNAL).write_bytes(b"")
    for name in ("HR/h1.png", "mine.txt"):
        (interrupted.dest / name).write_bytes(b"theirs")
    before = contents(interrupted.dest)
    outcome = run(*interrupted.flags, "--resume")
    assert outcome.code == 3
    assert "h1.png is there already, and not of this job" in outcome.err
    assert contents(interrupted.dest).items() >= before.items()
    (interrupted.dest / JOURNALS / JOURNAL).write_bytes(b"")
    (interrupted.dest / "report.json").write_bytes(b"theirs")
    before = contents(interrupted.dest)
    refused(run(*interrupted.flags, "--resume", "--report"), 2, "not empty")
    assert contents(interrupted.dest) == before


@pytest.mark.parametrize("tail", [bytes(5000), b'{"lr": "' + bytes(80) + b"\n"])
def test_zeros_after_the_last_line_are_forgotten(
    run: Run, interrupted: Folders, tail: bytes, work_done: list[str]
) -> None:
    with (interrupted.dest / JOURNALS / JOURNAL).open("ab") as file:
        file.write(tail)
    assert run(*interrupted.flags, "--resume").code == 0
    assert set(work_done) <= {"rendered h1.png"}


def test_without_resume_the_folder_is_not_empty(run: Run, interrupted: Folders) -> None:
    refused(run(*interrupted.flags), 2, "not empty", "--overwrite", "--resume")
    assert run(*interrupted.flags, "--overwrite").code == 0


def test_after_a_run_that_found_nothing_the_folder_is_as_good_as_empty(run: Run, fruitless: Folders) -> None:
    assert run(*fruitless.flags, "--search", "names", "--resume").code == 4
    assert run(*fruitless.flags, "--dry").code == 0
    assert run(*fruitless.flags).code == 0
    assert len(contents(fruitless.dest)) == 4
    refused(run(*fruitless.flags), 2, "not empty", "--resume")


def test_and_a_report_alone_may_be_written_there(run: Run, fruitless: Folders) -> None:
    assert run(*fruitless.flags, "--dry", "--report").code == 0
    assert sorted(contents(fruitless.dest)) == KEPT
    refused(run(*fruitless.flags, "--dry", "--report"), 2, "not empty")


@pytest.mark.parametrize("place", ["mine.txt", f"{JOURNALS}/mine.txt", f"{JOURNALS}/frames/lr/a.png"])
def test_but_not_where_there_is_anything_else(run: Run, fruitless: Folders, place: str) -> None:
    other = fruitless.dest / place
    other.parent.mkdir(parents=True, exist_ok=True)
    other.touch()
    refused(run(*fruitless.flags), 2, "not empty")
    refused(run(*fruitless.flags, "--dry", "--report"), 2, "not empty")
    assert other.exists()


def test_nor_where_the_run_was_interrupted_before_it_had_written_anything(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_at_once(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(read.Reader, "fingerprints", stop_at_once)
        assert run(*folders.flags).code == 130
    assert contents(folders.dest) == {}
    refused(run(*folders.flags), 2, "not empty", "--resume")
    assert run(*folders.flags, "--resume").code == 0


def test_nor_where_the_files_of_a_run_were_taken_away(run: Run, folders: Folders) -> None:
    assert run(*folders.flags).code == 0
    for side in ("LR", "HR"):
        shutil.rmtree(folders.dest / side)
    refused(run(*folders.flags), 2, "not empty", "--resume")


def test_a_folder_without_a_journal_is_not_gone_on_with(run: Run, folders: Folders) -> None:
    folders.dest.mkdir()
    (folders.dest / "mine.txt").write_text("mine")
    refused(run(*folders.flags, "--resume"), 2, "not empty")
    assert [path.name for path in folders.dest.iterdir()] == ["mine.txt"]


def test_what_a_dead_run_left_half_written_goes_and_nothing_else(run: Run, interrupted: Folders) -> None:
    name = json.loads((interrupted.dest / JOURNALS / JOURNAL).read_text().splitlines()[0])["run"]
    ours = [interrupted.dest / side / f".twimager-{name}-{number}.tmp" for number, side in enumerate(("", "LR", "HR"))]
    others = [interrupted.dest / "LR" / other for other in (f".twimager-{'0' * 32}-1.tmp", ".mine.tmp", f"{name}.tmp")]
    for path in (*ours, *others):
        path.write_bytes(b"half")
    assert run(*interrupted.flags, "--resume").code == 0
    assert not any(path.exists() for path in ours)
    assert all(path.read_bytes() == b"half" for path in others)


def test_a_file_of_another_is_never_replaced(run: Run, interrupted: Folders) -> None:
    theirs = interrupted.dest / "HR/h1.png"
    theirs.unlink(missing_ok=True)
    (interrupted.dest / "LR/h1.png").unlink(missing_ok=True)
    theirs.write_bytes(b"theirs")
    outcome = run(*interrupted.flags, "--resume")
    assert outcome.code == 3
    assert "h1.png is there already, and not of this job" in outcome.err
    assert theirs.read_bytes() == b"theirs"
    assert not (interrupted.dest / "LR/h1.png").exists()


@pytest.mark.parametrize(
    "flags", [(), *(pytest.param((flag,), marks=pytest.mark.slow) for flag in ("--resume", "--overwrite"))]
)
def test_one_run_at_a_time(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]) -> None:
    accept, seen = Ledger.accept, []

    def meanwhile(ledger: Ledger, record) -> None:
        if not seen:
            command = [sys.executable, ROOT / "twimager.py", *folders.flags, *flags]
            seen.append(subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False))
        accept(ledger, record)

    monkeypatch.setattr(Ledger, "accept", meanwhile)
    assert run(*folders.flags).code == 0
    assert (seen[0].returncode, seen[0].stdout) == (2, "")
    assert (
        seen[0].stderr
        == f"twimager: --dest: another run or review (process {os.getpid()}) is at work in {folders.dest}\n"
    )


def test_the_lock_of_a_dead_process_is_taken_over(run: Run, folders: Folders) -> None:
    (folders.dest / JOURNALS).mkdir(parents=True)
    (folders.dest / JOURNALS / LOCK).write_text("1")
    assert run(*folders.flags).code == 0


@pytest.mark.slow
@linux
def test_no_decoder_outlives_the_run(job: Job, tmp_path: Path) -> None:
    with job.start(tmp_path / "out") as process:
        while not any("twimager.image.decoder_process" in command for command in job.processes()):
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
        process.communicate()
    wait_for_none(job)
    assert job.finish(tmp_path / "out", "--resume")[0] == 0
    wait_for_none(job)
    assert decoders.COMMAND[0] == sys.executable
