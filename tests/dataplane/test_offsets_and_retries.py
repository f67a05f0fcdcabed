from hypothesis import given
from hypothesis import strategies as st

from dataplane.stages.events import Event
from dataplane.stages.offsets import OffsetTracker
from dataplane.stages.retries import RetryQueue, Waiting, batch_size, wait_s
from shared.contracts.objects import RetryPolicy


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=60))
def test_nothing_that_waits_is_ever_committed(steps: list[tuple[bool, int]]) -> None:
    """Property NoWaitingEventIsCommitted: the committable offset is at most that of every waiting event."""
    tracker, waiting, offset = OffsetTracker(), set[int](), 0
    for read, choice in steps:
        if read:
            tracker.seen(0, offset)
            if choice < 3:
                tracker.wait(0, offset)
                waiting.add(offset)
            offset += 1
        elif waiting:
            done = sorted(waiting)[choice % len(waiting)]
            tracker.done(0, done)
            waiting.discard(done)
        committable = tracker.committable().get(0, 0)
        assert committable == (min(waiting) if waiting else offset)


def test_a_partition_that_went_to_another_member_is_not_committed() -> None:
    tracker = OffsetTracker()
    tracker.seen(1, 9)
    tracker.forget(1)
    assert tracker.committable() == {}


@given(st.integers(1, 1000), st.floats(-1, 1))
def test_a_wait_is_bounded_whatever_the_attempt(attempts: int, jitter: float) -> None:
    policy = RetryPolicy(first_s=0.05, factor=3, max_s=2)
    assert 0 < wait_s(policy, attempts, jitter) <= 2 * 1.2


def waiting(offset: int, attempts: int) -> Waiting:
    return Waiting(Event(f"e{offset}", 100.0 + offset, None, b"{}", f"e{offset}", offset % 2, offset), attempts, 1.0)


def test_events_that_failed_more_often_go_in_smaller_batches_until_they_are_alone() -> None:
    retries = RetryQueue()
    for n in range(20):
        retries.push(1.0, waiting(n, 1))
    retries.push(1.5, waiting(99, 9))
    assert [len(retries.pop_due(2.0, 64)) for _ in range(4)] == [batch_size(64, 1), 8, 4, 1]
    assert len(retries) == 0


def test_what_is_not_due_waits_and_what_was_revoked_is_dropped() -> None:
    retries = RetryQueue()
    retries.push(5.0, waiting(1, 1))
    retries.push(6.0, waiting(2, 1))
    assert retries.pop_due(4.0, 10) == []
    assert retries.due_in(4.0) == 1.0
    assert retries.oldest_time() == 101.0
    retries.drop({1})
    assert retries.oldest_time() == 102.0
