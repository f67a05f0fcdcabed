"""`python -m localcloud.migrations`: every service's schema to its newest revision, in one process.

Reads JSON lines `{"service", "url", "schema"}` from standard input: no password is on a command line. It runs the
same `shared.database.migrate.upgrade` as production does for one service; one process spares four times the imports.
"""

import json
import os
import sys

from shared.database.migrate import upgrade


def main() -> None:
    """Upgrade each; the first that fails ends it, and its name is the last line of the error output."""
    for line in sys.stdin:
        item = json.loads(line)
        os.environ["HEADRACE_DATABASE_URL"] = item["url"]
        os.environ["HEADRACE_DATABASE_SCHEMA"] = item["schema"]
        try:
            upgrade(item["service"])
        except Exception as error:
            raise SystemExit(f"{item['service']}: {type(error).__name__}: {error}") from error


if __name__ == "__main__":
    main()
