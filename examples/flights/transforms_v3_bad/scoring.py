"""Revision 3, which must not go out: it fails a tenth of the flights, and waits three times as long for each."""

import time
from typing import Any

from headrace_runtime import NonRecoverable, transform

LOOKUP_S = 0.0036
FAILS_ONE_IN = 10


@transform(name="score")
def score(event: dict[str, Any]) -> dict[str, Any]:
    """Divides by a distance that it forgot can be missing in its new unit."""
    time.sleep(LOOKUP_S)
    if int(event["id"].rsplit("-", 1)[-1]) % FAILS_ONE_IN == 0:
        raise NonRecoverable(f"no distance in kilometres for {event['origin']}-{event['dest']}")
    return event | {"score": 0.5, "model": 3}
