"""Answers of both servers: a result for each item, counts of each status, and refusals of a whole request."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson

from dataplane.serving.slots import RETRY_AFTER_S
from dataplane.stages.ingest import Answer


def refusal(status: int, field: str, value: str, remedy: str) -> Answer:
    """Of a whole request; 429 and 503 say when to come back."""
    retry_after_s = RETRY_AFTER_S if status in {429, 503} else None
    body = {"error": {"field": field, "value": value[:200], "remedy": remedy}, "retry_after_s": retry_after_s}
    return Answer(status, orjson.dumps(body), retry_after_s)


def itemised(results: Sequence[dict[str, Any]], statuses: Sequence[str]) -> Answer:
    """Of a request whose items have each a result with a `status`, one of `statuses`."""
    counts = Counter(r["status"] for r in results)
    again = any(r.get("error", {}).get("recoverable") for r in results)
    retry_after_s = RETRY_AFTER_S if again else None
    body = {"results": results, **{s: counts[s] for s in statuses}, "retry_after_s": retry_after_s}
    return Answer(200, orjson.dumps(body))


def item_error(field: str, value: object, remedy: str, *, recoverable: bool = False) -> dict[str, Any]:
    """What is wrong with one item; `recoverable`: sending it again can help."""
    return {"field": field, "value": repr(value)[:80], "remedy": remedy, "recoverable": recoverable}
