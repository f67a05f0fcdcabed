"""`python -m headrace_runtime`."""

import sys

from headrace_runtime.command import main

sys.exit(main())
