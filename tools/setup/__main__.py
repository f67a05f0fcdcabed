"""`python3 -m tools.setup`: this file runs on any Python, to say in a sentence that a newer one is needed."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  that is the point of this file
    sys.exit(
        "Headrace's set-up needs Python 3.11 or newer, and this is "
        + ".".join(map(str, sys.version_info[:2]))
        + ": install one and run `make setup PYTHON=python3.11`."
    )

from tools.setup.run import main

sys.exit(main())
