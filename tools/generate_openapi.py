"""Writes docs/reference/openapi.json from the admin API; `--check` says instead whether it is current."""

import importlib
import json
import sys

from tools.setup.step import ROOT

PLACE = ROOT / "docs" / "reference" / "openapi.json"
MODULE = "services.admin_api.openapi"  # gives `document() -> dict`, without opening any connection


def main() -> int:
    """Write, or with `--check` compare."""
    document = importlib.import_module(MODULE).document()
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    if sys.argv[1:] == ["--check"]:
        if PLACE.exists() and PLACE.read_text() == text:
            return 0
        print(f"{PLACE.relative_to(ROOT)} is not what the admin API says: run `make openapi` and commit it")
        return 1
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    PLACE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
