"""Loss: event ids seen at two points of a pipeline, per one-minute event-time bucket, compared as *sets*.

Counts hide loss behind duplicates (four sent, one lost, one repeated: "no loss"); sets do not. A bucket closes when
its end, the wait and the destination's watermark have all passed; a watermark that is stuck closes it as UNKNOWN,
never as loss. A missing audit is UNKNOWN; no traffic is no ratio. Late data is compared again, and heals what it
heals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

BUCKET_S = 60
EVENTS_MIN = 30
SMALL_BUCKETS_IN_A_ROW = 3
Z_95 = 1.959964


class LossState(StrEnum):
    """What a bucket says."""

    NO_TRAFFIC = "NO_TRAFFIC"
    PROVISIONAL = "PROVISIONAL"
    UNKNOWN = "UNKNOWN"
    CLEAN = "CLEAN"
    LOSING = "LOSING"  # over the bound


def bucket_start(event_at: float, bucket_s: int = BUCKET_S) -> int:
    """The bucket of an event time; floor, not truncation.

    >>> bucket_start(59.999), bucket_start(60.0), bucket_start(-0.5)
    (0, 60, -60)
    """
    return math.floor(event_at / bucket_s) * bucket_s


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two points compared: distinct ids; `error` is the standard error of `lost`, 0 when it is exact."""

    source: float
    lost: float
    unexpected: float = 0.0
    dropped: float = 0.0
    error: float = 0.0


@dataclass(frozen=True, slots=True)
class LossJudgement:
    """One bucket judged."""

    state: LossState
    ratio: float | None
    alarm: bool
    code: str = ""
    recorded: bool = True


def loss_ratio(c: Comparison) -> float | None:
    """Lost over source; None without traffic; drops by declared design are not lost."""
    if c.source <= 0:
        return None
    return max(0.0, c.lost - c.dropped) / c.source


def judge_bucket(
    source: float | None, compared: Comparison | None, *, closed: bool, bound: float, events_min: int = EVENTS_MIN
) -> LossJudgement:
    """Judge one bucket; `source` None: its audit is missing; `compared` None: the destination's audit is missing."""
    if source is None:
        return LossJudgement(LossState.UNKNOWN, None, alarm=False, code="SourceAuditMissing")
    if source <= 0:
        return LossJudgement(LossState.NO_TRAFFIC, None, alarm=False)
    if compared is None:
        return LossJudgement(LossState.UNKNOWN, None, alarm=False, code="DestinationAuditMissing")
    ratio = loss_ratio(compared)
    if ratio is None:
        return LossJudgement(LossState.NO_TRAFFIC, None, alarm=False)
    if not closed:
        return LossJudgement(LossState.PROVISIONAL, ratio, alarm=False)
    over = _surely_over(compared, ratio, bound)
    alarm = over and compared.source >= events_min
    return LossJudgement(LossState.LOSING if over else LossState.CLEAN, ratio, alarm=alarm)


def _surely_over(c: Comparison, ratio: float, bound: float) -> bool:
    """Strictly over the bound; of an estimate, its lower 95 % limit must be."""
    if c.error <= 0:
        return ratio > bound
    return (max(0.0, c.lost - c.dropped) - Z_95 * c.error) / c.source > bound


def pages(judgements: Sequence[LossJudgement]) -> bool:
    """Whether a run of closed buckets, oldest first, pages: one with enough events, or three small ones in a row.

    >>> small = LossJudgement(LossState.LOSING, 0.2, alarm=False)
    >>> pages([small]), pages([small, small, small])
    (False, True)
    """
    if judgements and judgements[-1].alarm:
        return True
    last = judgements[-SMALL_BUCKETS_IN_A_ROW:]
    return len(last) == SMALL_BUCKETS_IN_A_ROW and all(j.state is LossState.LOSING for j in last)


@dataclass(frozen=True, slots=True)
class CloseRule:
    """When a bucket is final; seconds."""

    wait_s: float = 180.0
    stuck_s: float = 600.0  # a watermark that stands still so long is stuck
    retention_s: float = 86_400.0


class Closing(StrEnum):
    """Where a bucket stands."""

    OPEN = "open"
    CLOSED = "closed"
    STUCK = "stuck"  # closed by the clock because the watermark does not move: UNKNOWN
    GONE = "gone"  # its state was dropped; what comes now is too late


def closing(bucket: int, now: float, watermark: float | None, rule: CloseRule) -> Closing:
    """Whether a bucket is final: its end, the wait and the destination's watermark have passed."""
    end = bucket + BUCKET_S
    if now > end + rule.retention_s:
        return Closing.GONE
    if now < end + rule.wait_s:
        return Closing.OPEN
    if watermark is not None and watermark >= end:
        return Closing.CLOSED
    return Closing.STUCK if now >= end + rule.wait_s + rule.stuck_s else Closing.OPEN


def compare_ids(
    source: Sequence[str], destination: Sequence[str], dropped: Sequence[str] = ()
) -> tuple[Comparison, tuple[str, ...], int]:
    """Exact comparison of ids: the numbers, the lost ids, and how many duplicates arrived.

    >>> compare_ids(["a", "b", "c", "d"], ["a", "a", "b", "c"])[1:]
    (('d',), 1)
    """
    sent, seen, declared = set(source), set(destination), set(dropped)
    lost = sent - seen - declared
    numbers = Comparison(len(sent), len(lost), len(seen - sent))
    return numbers, tuple(sorted(lost)), len(destination) - len(seen)
