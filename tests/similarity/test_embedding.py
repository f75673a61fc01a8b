"""A network of the user's own: its input, what is made of its output, and files that are none."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tests.support.command import Run, refused
from tests.support.onnx_file import tiny_network
from tests.support.paths import EXAMPLES
from tests.support.pictures import cat, picture
from twimager.similarity.embedding import Network, cosine_similarity
from twimager.similarity.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

WEIGHTS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
SMALL = Preprocessing(size=(40, 30))
A, B = EXAMPLES / "HR/P1040518.jpg", EXAMPLES / "HR/P1040102.jpg"


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "nét.onnx"
    path.write_bytes(tiny_network(WEIGHTS, SMALL.size))
    return path


def expected_embedding(
    pixels: np.ndarray, mean: object, std: object, scale: float = 1 / 255, bgr: bool = False
) -> np.ndarray:
    """What the network is to make of a picture, in plain NumPy."""
    small = cv2.resize(pixels, SMALL.size, interpolation=cv2.INTER_AREA).astype(np.float64)
    normal = ((small if bgr else small[..., ::-1]) * scale - np.array(mean)) / np.array(std)
    answer = np.maximum(normal @ WEIGHTS.T, 0).mean(axis=(0, 1))
    return np.asarray(answer / np.linalg.norm(answer))


def test_a_picture_is_prepared_as_imagenets_are(net: Path) -> None:
    assert Network(net, SMALL).embed(cat()) == pytest.approx(
        expected_embedding(cat(), IMAGENET_MEAN, IMAGENET_STD), abs=1e-4
    )
    deep = cat().astype(np.uint16) * 257
    assert Network(net, SMALL).embed(deep) == pytest.approx(Network(net, SMALL).embed(cat()), abs=1e-4)


def test_every_setting_of_the_preparation_is_followed(net: Path) -> None:
    caffe = Preprocessing(SMALL.size, 1.0, (103.9, 116.8, 123.7), (2.0, 1.0, 1.0), bgr=True)
    expected = expected_embedding(cat(), caffe.mean, caffe.std, 1.0, bgr=True)
    assert Network(net, caffe).embed(cat()) == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_compare_reports_the_cosine_similarity_of_the_embeddings(run: Run, net: Path) -> None:
    outcome = run("compare", A, B, "--model", net, "--model_size", 40, 30, "--json")
    assert outcome.code == 0
    a, b = (expected_embedding(p, IMAGENET_MEAN, IMAGENET_STD) for p in (cat(), picture("P1040102")))
    assert json.loads(outcome.out)["cosine_similarity"] == pytest.approx(a @ b, abs=1e-4)


def test_a_cosine_is_no_more_than_one() -> None:
    vector = np.float32([0.6, 0.8000001])
    assert cosine_similarity(vector, vector) == 1.0


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--model_size", "0"], ("--model_size",)),
        (["--model_size", "1", "2", "3"], ("--model_size", "one or two")),
        (["--model_std", "0", "1", "1"], ("--model_std",)),
        (["--model_mean", "nan", "1", "1"], ("--model_mean",)),
        (["--model_scale", "-1"], ("--model_scale",)),
        (["--model", "gone.onnx"], ("gone.onnx", "can't be read")),
        (["--model", str(A)], ("P1040518", "no ONNX network")),
    ],
)
def test_models_that_do_not_fit(run: Run, flags: list[str], words: tuple[str, ...]) -> None:
    refused(run("compare", A, B, *flags), 2, *words)


def test_a_network_that_makes_no_numbers(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "nan.onnx"
    path.write_bytes(tiny_network(WEIGHTS * np.float32(np.inf), SMALL.size))
    refused(run("compare", A, B, "--model", path), 2, "nan.onnx", "no numbers")


def test_an_output_of_several_positions_is_averaged(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    positions = np.array([[[[3.0, 0.0]], [[2.0, 2.0]]]], np.float32)
    loaded = SimpleNamespace(setInput=lambda _: None, forward=lambda: positions)
    monkeypatch.setattr(cv2.dnn, "readNetFromONNX", lambda _: loaded)
    assert Network(net, SMALL).embed(cat()) == pytest.approx([0.6, 0.8])
