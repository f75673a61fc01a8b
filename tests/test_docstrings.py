"""The examples in docstrings give what they show."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import twimager

ROOT = Path(twimager.__file__).parent
WITH_EXAMPLES = sorted(path for path in ROOT.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    module = import_module(".".join(path.relative_to(ROOT.parent).with_suffix("").parts))
    failed, attempted = doctest.testmod(module)
    assert attempted
    assert not failed
