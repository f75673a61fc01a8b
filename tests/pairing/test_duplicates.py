"""Files of the same bytes are evaluated once, and each is in a pair of its own; what is flat is in none."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.report import report_of
from twimager.errors import Reason
from twimager.fingerprint.stamp import stamp
from twimager.pairing import candidates, evaluate, read
from twimager.pairing.duplicates import find_duplicates


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each pair is put through the gates."""
    counts: Counter[str] = Counter()
    verify = evaluate.verify

    def counted(candidate, settings):
        counts["-".join(image.path.stem for image in candidate.proposal.images)] += 1
        return verify(candidate, settings)

    monkeypatch.setattr(evaluate, "verify", counted)
    return counts


def multiply(path: Path, number: int) -> None:
    for copy in range(number):
        shutil.copy(path, path.with_stem(f"{path.stem}_{copy}"))


def partners(folders: Folders) -> dict[str, str]:
    return {Path(pair["lr"]).stem: Path(pair["hr"]).stem for pair in report_of(folders.dest)["pairs"]}


def test_only_equal_bytes_are_duplicates(tmp_path: Path) -> None:
    contents = {
        "a": b"x" * 9000,
        "b": b"x" * 9000,
        "early": b"y" + b"x" * 8999,
        "middle": b"x" * 4500 + b"y" + b"x" * 4499,
    }
    contents |= {"shorter": b"x" * 8999, "empty": b"", "void": b"", "c": b"x" * 9000}
    for name, data in contents.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    paths = [*sorted(tmp_path.iterdir()), tmp_path / "gone.png"]
    found = find_duplicates(paths, {path: stamp(path) for path in paths}, map)
    equal = tuple(tmp_path / f"{name}.png" for name in "abc")
    assert found == dict.fromkeys(equal, equal)


@pytest.mark.parametrize("search", ["auto", "features", "hash"])
@pytest.mark.parametrize(("lrs", "hrs"), [(5, 5), (5, 2), (2, 5), (0, 4)])
def test_duplicates_are_paired_one_to_one_by_one_evaluation(
    run: Run, folders: Folders, evaluated: Counter[str], search: str, lrs: int, hrs: int
) -> None:
    multiply(folders.lr / "l0.png", lrs)
    multiply(folders.hr / "h0.png", hrs)
    assert run(*folders.flags, "--report", "--search", search).code == 0
    found = partners(folders)
    assert found.pop("l1") == "h1"
    assert len(found) == len(set(found.values())) == min(lrs, hrs) + 1
    assert all(lr.startswith("l0") and hr.startswith("h0") for lr, hr in found.items())
    assert max(evaluated.values()) == 1
    assert sum(evaluated.values()) <= 4
    left = [image for image in report_of(folders.dest)["rejected_images"] if image["side"] == "LR"]
    assert {image["reason"] for image in left} <= {Reason.NO_PARTNER.value}
    assert len(left) == max(0, lrs - hrs)
    files = [path.read_bytes() for path in (folders.dest / "HR").iterdir() if path.name.startswith("h0")]
    assert len(files) == min(lrs, hrs) + 1
    assert len(set(files)) == 1


def test_duplicates_of_an_hr_serve_different_lrs(run: Run, folders: Folders) -> None:
    multiply(folders.hr / "h0.png", 2)
    lr = cv2.imread(str(folders.lr / "l0.png"))
    cv2.imwrite(str(folders.lr / "warm.png"), cv2.add(lr, (0, 4, 9, 0)))
    cv2.imwrite(str(folders.lr / "blurred.jpg"), cv2.GaussianBlur(lr, (0, 0), 0.6))
    assert run(*folders.flags, "--report").code == 0
    found = partners(folders)
    assert set(found) == {"l0", "l1", "warm", "blurred"}
    assert {found[lr] for lr in ("l0", "warm", "blurred")} == {"h0", "h0_0", "h0_1"}


def test_an_lr_names_the_duplicates_of_its_hr_as_rivals(run: Run, folders: Folders) -> None:
    multiply(folders.hr / "h0.png", 2)
    assert run(*folders.flags, "--report").code == 0
    rivals = {Path(pair["lr"]).stem: pair["rivals"] for pair in report_of(folders.dest)["pairs"]}
    assert sorted(Path(rival).stem for rival in rivals["l0"]) == ["h0_0", "h0_1"]


def test_all_matches_are_those_of_every_copy(run: Run, folders: Folders) -> None:
    multiply(folders.hr / "h0.png", 2)
    assert run(*folders.flags, "--all_matches", "--report").code == 0
    assert sum(Path(pair["hr"]).stem.startswith("h0") for pair in report_of(folders.dest)["pairs"]) == 3


@pytest.mark.slow
def test_the_report_does_not_depend_on_jobs_or_what_is_kept(run: Run, folders: Folders, tmp_path: Path) -> None:
    multiply(folders.lr / "l0.png", 3)
    multiply(folders.hr / "h0.png", 2)
    found = []
    for number, flags in enumerate(
        (("--jobs", 1), ("--jobs", 4), ("--save", tmp_path / "kept"), ("--save", tmp_path / "kept"))
    ):
        dest = folders.dest.with_name(f"out{number}")
        assert run(*folders.flags[:4], "--dest", dest, "--report", *flags).code == 0
        report = report_of(dest)
        found.append(
            [[(pair["lr"], pair["hr"], pair["matrix"]) for pair in report["pairs"]], report["rejected_images"]]
        )
    assert found[1:] == found[:-1]


def test_a_copy_that_changes_meanwhile_is_not_taken_for_one(
    run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    multiply(folders.hr / "h0.png", 1)
    find = read.find_duplicates

    def changing(paths, *how):
        found = find(paths, *how)
        if folders.hr / "h0.png" in found:
            shutil.copy(folders.hr / "h1.png", folders.hr / "h0.png")
        return found

    monkeypatch.setattr(read, "find_duplicates", changing)
    outcome = run(*folders.flags, "--report")
    assert outcome.code == 3
    assert "h0_0.png: unreadable: a copy of it changed while the job went on" in outcome.err
    assert "h0_0" not in partners(folders).values()


def test_what_is_flat_is_only_read(run: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for side in (folders.lr, folders.hr):
        for number in range(30):
            flat = np.full((90, 120, 3), rng.integers(0, 256, 3), np.uint8)
            cv2.imwrite(str(side / f"flat{number}.{'jpg' if number % 2 else 'png'}"), flat)
    match, seen = candidates.match, set[str]()

    def watched(hr, lr, method):
        seen.update((hr.path.stem, lr.path.stem))
        return match(hr, lr, method)

    monkeypatch.setattr(candidates, "match", watched)
    assert run(*folders.flags, "--report", "--search", "features").code == 0
    assert {name for name in seen if name.startswith("flat")} == set()
    reasons = Counter(image["reason"] for image in report_of(folders.dest)["rejected_images"])
    assert reasons == {Reason.FLAT.value: 60}
