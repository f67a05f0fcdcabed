from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.stages.events import Event
from dataplane.stages.offsets import OffsetTracker
from dataplane.stages.retries import RetryQueue, Waiting, batch_size, next_try, wait_s
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


@settings(deadline=None)
@given(
    st.integers(1, 20), st.floats(0.2, 10), st.floats(1, 4), st.floats(0.5, 30), st.floats(0.1, 60), st.floats(-1, 1)
)
def test_an_event_that_always_fails_alone_has_an_end(
    attempts: int, first_s: float, factor: float, max_s: float, patience_s: float, jitter: float
) -> None:
    """Property EveryEventHasAnEnd, in virtual time: on a silent stage nothing else ever succeeds."""
    policy = RetryPolicy(attempts=attempts, first_s=first_s, factor=factor, max_s=max_s, patience_s=patience_s)
    retries, now, tries = RetryQueue(), 1.0, 0
    retries.push(now, Waiting(waiting(0, 0).event, 0, 0.0))
    while len(retries):
        now += retries.due_in(now) or 0.0
        (tried,) = retries.pop_due(now, 100)
        tries += 1
        again = next_try(policy, tried, now, succeeded_at=0.0)
        if again is not None:
            retries.push(now + wait_s(policy, again.attempts, jitter), again)
    longest_wait_s = max_s * 1.2
    assert tries >= attempts
    assert min(patience_s, attempts * longest_wait_s) <= now
    assert now - 1.0 <= max(patience_s, attempts * longest_wait_s) + longest_wait_s


@given(st.integers(1, 20), st.integers(0, 50), st.floats(0, 899), st.booleans())
def test_nobody_is_given_up_while_the_other_side_is_down_for_less_than_its_patience(
    attempts: int, failed: int, for_s: float, passed: bool
) -> None:
    """Property NobodyIsGivenUpEarly: without a success since its first failure, an event stays for its patience."""
    policy = RetryPolicy(attempts=attempts)
    found = next_try(policy, Waiting(waiting(0, 0).event, failed, 10.0), 10.0 + for_s, 11.0 if passed else 10.0)
    assert (found is None) == (passed and failed + 1 >= attempts)
