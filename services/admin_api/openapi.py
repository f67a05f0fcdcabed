"""`python -m services.admin_api.openapi`: write docs/reference/openapi.json; no connection is opened."""

import json
import sys
from pathlib import Path
from typing import Any

from services.admin_api.rest.app import make_app

PLACE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "openapi.json"


def document() -> dict[str, Any]:
    """The OpenAPI document of this version."""
    return make_app().openapi()


def main() -> int:
    """Write it."""
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    PLACE.write_text(json.dumps(document(), indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
