"""Applies one function to a batch of JSON events: a result for each, whatever users' code does.

A result is a tuple of JSON outputs (empty: dropped by design) or a `Failure`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from headrace_runtime.declaring import Function
from headrace_runtime.failures import REASON_LENGTH_MAX, Failure, failure_of

Result = tuple[bytes, ...] | Failure


def apply(function: Function, events: Sequence[bytes], starting: Callable[[int], None]) -> Iterator[Result]:
    """Results in order; `starting(i)` is called before the code runs for event i (for a batch: before all of it)."""
    if function.batch:
        starting(0)
        yield from _apply_batch(function, events)
        return
    for i, raw in enumerate(events):
        starting(i)
        try:
            event = json.loads(raw)
        except (ValueError, RecursionError) as e:
            yield Failure(False, "Undecodable", f"not JSON: {e}"[:200])
            continue
        yield _one(function, event)


def _encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _one(function: Function, event: Any) -> Result:
    try:
        return result_of(function.call(event))
    except (Exception, SystemExit) as e:
        return failure_of(e)


def _apply_batch(function: Function, events: Sequence[bytes]) -> list[Result]:
    results: list[Result | None] = [None] * len(events)
    places, decoded = [], []
    for i, raw in enumerate(events):
        try:
            decoded.append(json.loads(raw))
            places.append(i)
        except (ValueError, RecursionError) as e:
            results[i] = Failure(False, "Undecodable", f"not JSON: {e}"[:200])
    for place, result in zip(places, _call_batch(function, decoded), strict=True):
        results[place] = result
    return [r for r in results if r is not None]


def _call_batch(function: Function, events: list[Any]) -> list[Result]:
    if not events:
        return []
    try:
        answers = function.call(list(events))
    except (Exception, SystemExit) as e:
        return [failure_of(e)] * len(events)
    if not isinstance(answers, list | tuple) or len(answers) != len(events):
        got = f"{len(answers)} results" if isinstance(answers, list | tuple) else type(answers).__name__
        wrong = Failure(False, "InvalidResult", f"{function.name}: {got} for {len(events)} events: return one for each")
        return [wrong] * len(events)
    return [result_of(a) for a in answers]


def result_of(answer: Any) -> Result:
    """What users' code returned, encoded.

    >>> result_of({"a": 1}), result_of(None)
    ((b'{"a":1}',), ())
    >>> result_of(3).reason
    'InvalidResult'
    """
    match answer:
        case None:
            return ()
        case Failure():
            return Failure(
                bool(answer.recoverable), str(answer.reason)[:REASON_LENGTH_MAX] or "Failure", answer.message
            )
        case dict():
            outputs = [answer]
        case list() | tuple():
            outputs = list(answer)
        case _:
            return Failure(
                False, "InvalidResult", f"a result is a dict, a list of dicts or None, not {type(answer).__name__}"
            )
    if not all(isinstance(o, dict) for o in outputs):
        return Failure(False, "InvalidResult", "a list of results must hold dicts only")
    try:
        return tuple(_encoded(o) for o in outputs)
    except (TypeError, ValueError, RecursionError, OverflowError) as e:
        return Failure(False, "InvalidResult", f"the result is not JSON: {e}"[:200])
