"""`python -m twimager`."""

import sys

from twimager.cli.main import main

sys.exit(main())
