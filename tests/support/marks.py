"""Tests that only some systems can run."""

from __future__ import annotations

import sys

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc or mount")
links = pytest.mark.skipif(sys.platform == "win32", reason="links are for administrators there")
