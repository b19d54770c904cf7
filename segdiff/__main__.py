"""``python -m segdiff`` is the ``segdiff`` command."""

import sys

from segdiff.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
