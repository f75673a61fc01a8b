"""The tests, in folders named after Twimager's packages."""

import pytest

# Its asserts, too, say what they compared.
pytest.register_assert_rewrite("tests.support")
