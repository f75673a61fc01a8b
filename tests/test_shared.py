"""Recall, errors and sizes on the shared sets of photographs, measured by their own scorer from the files written."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import Run

SHARED = Path(os.environ.get("TWIMAGER_SHARED", Path(__file__).resolve().parent.parent.parent / "shared"))
BENCH = SHARED / "bench"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not BENCH.is_dir(), reason="the shared photographs are not here"),
]


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"shared_{name}", BENCH / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    maker = module("sets")
    recipes = maker.recipes(str(folder), sorted((BENCH / "photos").glob("*.jpg")), BENCH / "clip.mp4")
    for name in ("exact4", "formats", "wild", "video"):
        maker.save(recipes[name]())
    return folder


def scored(run: Run, folder: Path, dest: Path, scale: float) -> dict[str, Any]:
    flags = "--lr", folder / "LR", "--hr", folder / "HR", "--dest", dest, "--scale", scale
    assert run(*flags).code == 0
    return module("score").score(str(folder), str(dest), scale)


@pytest.mark.parametrize(
    ("name", "scale", "recall", "median", "ninth"),
    [
        ("exact4", 1.0, 0.97, 0.03, 0.06),
        ("exact4", 2.0, 0.97, 0.03, 0.06),
        ("exact4", 4.0, 0.97, 0.03, 0.06),
        ("formats", 2.0, 1.0, 0.05, 0.1),
        ("wild", 2.0, 0.3, 0.05, 0.1),
        ("video", 2.0, 0.97, 0.1, 0.2),
    ],
)
def test_pairs_are_found_and_aligned(
    run: Run, sets: Path, tmp_path: Path, name: str, scale: float, recall: float, median: float, ninth: float
) -> None:
    found = scored(run, sets / name, tmp_path / "out", scale)
    assert found["recall"] >= recall
    assert found["wrong"] == 0
    assert found["err_median"] <= median
    assert found["err_p90"] <= ninth
    assert found["psnr_ideal"] >= 42
    assert found["black"] == 0
    assert found["bad_size"] == 0
