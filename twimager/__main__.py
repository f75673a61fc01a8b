"""`python -m twimager`."""

import sys

from twimager.cli import main

sys.exit(main())
