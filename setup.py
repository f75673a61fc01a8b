"""What pyproject.toml can't say: as a package index has no files beside README.md, its links lead to the repository."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
(HOME,) = re.findall(r'^Homepage = "(.+)"$', (HERE / "pyproject.toml").read_text("utf-8"), re.M)
PAGES = f"{HOME}/blob/main/"
PICTURES = PAGES.replace("github.com", "raw.githubusercontent.com").replace("/blob/", "/")


def addressed(markdown: str) -> str:
    """Return Markdown with whole addresses in the place of links to files."""
    pictures = re.sub(r"(!\[[^\]]*\]\()(?!https?:)", rf"\g<1>{PICTURES}", markdown)
    return re.sub(r"((?<!!)\[[^\]]*\]\()(?!https?:|#)", rf"\g<1>{PAGES}", pictures)


if __name__ == "__main__":
    from setuptools import setup

    sys.path.insert(0, str(HERE))  # of its parsers the man page is made
    readme = (HERE / "README.md").read_text("utf-8")
    setup(long_description=addressed(readme), long_description_content_type="text/markdown")
