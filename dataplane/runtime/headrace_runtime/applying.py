"""Applies one function to a batch of JSON events: a result for each, whatever users' code does.

A result is a tuple of JSON outputs (empty: dropped by design) or a `Failure`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from headrace_runtime.declaring import Function
from headrace_runtime.failures import REASON_LENGTH_MAX, Failure, failure_of
from headrace_runtime.shapes import Reader, UnfitError, is_object, plain, reader_of

OUTPUT_BYTES_MAX = 8 * 1024 * 1024
OUTPUTS_MAX = 10_000  # of one event
Result = tuple[bytes, ...] | Failure
_encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=plain)


@dataclass(frozen=True, slots=True)
class Bound:
    """A function with the way its events are read; ShapeError on making one when there is none."""

    function: Function
    reader: Reader | None

    @classmethod
    def of(cls, function: Function) -> "Bound":
        """Looks at its annotations."""
        return cls(function, reader_of(function.call, batch=function.batch))

    def decoded(self, raw: bytes) -> Any:
        """The event as the function takes it, or a Failure."""
        try:
            event = json.loads(raw)
            return event if self.reader is None else self.reader(event, "event")
        except UnfitError as e:
            return Failure(False, "InvalidEvent", str(e)[:500])
        except (ValueError, RecursionError) as e:
            return Failure(False, "Undecodable", f"not JSON: {e}"[:200])


def apply(bound: Bound, events: Sequence[bytes], starting: Callable[[int], None]) -> Iterator[Result]:
    """Results in order; `starting(i)` is called before the code runs for event i (for a batch: before all of it)."""
    if bound.function.batch:
        starting(0)
        places, decoded, results = decode_all(bound, events)
        yield from filled(results, places, _call_batch(bound.function, decoded))
        return
    call = bound.function.call
    for i, raw in enumerate(events):
        starting(i)
        event = bound.decoded(raw)
        if isinstance(event, Failure):
            yield event
            continue
        try:
            answer = call(event)
        except (Exception, SystemExit) as e:
            yield failure_of(e)
        else:
            yield result_of(answer)


def decode_all(bound: Bound, events: Sequence[bytes]) -> tuple[list[int], list[Any], list[Result | None]]:
    """Places and values of the events that can be read; and results, with a Failure for each that cannot."""
    results: list[Result | None] = [None] * len(events)
    places, decoded = [], []
    for i, raw in enumerate(events):
        event = bound.decoded(raw)
        if isinstance(event, Failure):
            results[i] = event
        else:
            places.append(i)
            decoded.append(event)
    return places, decoded, results


def filled(results: list[Result | None], places: list[int], found: list[Result]) -> list[Result]:
    """The results in the order of the events."""
    for place, result in zip(places, found, strict=True):
        results[place] = result
    return [r for r in results if r is not None]


def _call_batch(function: Function, events: list[Any]) -> list[Result]:
    if not events:
        return []
    try:
        answers = function.call(list(events))
    except (Exception, SystemExit) as e:
        return [failure_of(e)] * len(events)
    return results_of(function, answers, len(events))


def results_of(function: Function, answers: Any, count: int) -> list[Result]:
    """What a batch function returned for `count` events."""
    if not isinstance(answers, list | tuple) or len(answers) != count:
        got = f"{len(answers)} results" if isinstance(answers, list | tuple) else type(answers).__name__
        wrong = Failure(False, "InvalidResult", f"{function.name}: {got} for {count} events: return one for each")
        return [wrong] * count
    return [result_of(a) for a in answers]


def result_of(answer: Any) -> Result:
    """What users' code returned, encoded.

    >>> result_of({"a": 1}), result_of(None)
    ((b'{"a":1}',), ())
    >>> result_of(3).reason
    'InvalidResult'
    """
    if isinstance(answer, dict):
        outputs = [answer]
    elif answer is None:
        return ()
    elif isinstance(answer, Failure):
        return Failure(bool(answer.recoverable), str(answer.reason)[:REASON_LENGTH_MAX] or "Failure", answer.message)
    elif isinstance(answer, list | tuple):
        outputs = list(answer)
        if len(outputs) > OUTPUTS_MAX:
            return _invalid(f"{len(outputs)} outputs of one event, at most {OUTPUTS_MAX}")
        if not all(is_object(o) for o in outputs):
            return _invalid("a list of results must hold dicts or dataclasses only")
    elif is_object(answer):
        outputs = [answer]
    else:
        return _invalid(f"a result is a dict, a dataclass, a list of them or None, not {type(answer).__name__}")
    try:
        encoded = tuple(_encoder.encode(o).encode() for o in outputs)
    except Exception as e:  # users' own objects are asked what they look like
        return _invalid(f"the result is not JSON: {type(e).__name__}: {e}"[:200])
    largest = max(map(len, encoded), default=0)
    return (
        _invalid(f"an output of {largest} bytes, at most {OUTPUT_BYTES_MAX}") if largest > OUTPUT_BYTES_MAX else encoded
    )


def _invalid(text: str) -> Failure:
    return Failure(False, "InvalidResult", text)
