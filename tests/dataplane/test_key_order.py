"""Property OrderPerKey: whatever fails, events of a key are handed on in the order in which they came."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.stages.events import Event
from dataplane.stages.key_order import KeyOrder
from dataplane.stages.retries import Waiting

KEYS = (b"a", b"b", None)


def waiting(offset: int, key: bytes | None) -> Waiting:
    return Waiting(Event(f"e{offset}", 1.0, key, b"{}", f"e{offset}", 0, offset), 0, 0.0)


class Stage:
    """The loop's use of it: a batch fails where the script says, and what is behind a failure waits."""

    def __init__(self, script: list[bool]) -> None:
        self.order, self.script = KeyOrder(), script
        self.retries: list[Waiting] = []
        self.handed_on: list[Event] = []

    def work_on(self, batch: list[Waiting]) -> None:
        while batch:
            blocked, done, again, behind = set[bytes](), list[Event](), list[Waiting](), list[Waiting]()
            for one in batch:
                key = one.event.key
                if key in blocked:
                    behind.append(one)
                elif self.script and self.script.pop():
                    again.append(one)
                    if key is not None:
                        blocked.add(key)
                else:
                    done.append(one.event)
            self.handed_on += done
            self.retries += again
            self.order.failed(again, behind)
            batch = self.order.freed(done)

    def fresh(self, batch: list[Waiting]) -> None:
        self.work_on(self.order.split(batch)[0])


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(KEYS), max_size=6), max_size=12), st.lists(st.booleans(), max_size=60))
def test_events_of_a_key_are_handed_on_in_order_and_none_is_stuck(
    batches: list[list[bytes | None]], script: list[bool]
) -> None:
    stage, offset = Stage(script), 0
    for keys in batches:
        fresh = [waiting(offset + n, key) for n, key in enumerate(keys)]
        offset += len(keys)
        stage.fresh(fresh)
        if stage.retries and script:
            stage.work_on([stage.retries.pop(0)])
    while stage.retries:
        stage.work_on([stage.retries.pop(0)])
    assert sorted(e.offset for e in stage.handed_on) == list(range(offset))
    assert (len(stage.order), bool(stage.order)) == (0, False)
    for key in (b"a", b"b"):
        offsets = [e.offset for e in stage.handed_on if e.key == key]
        assert offsets == sorted(offsets)


def test_an_event_that_is_given_up_frees_those_behind_it() -> None:
    order, first, second = KeyOrder(), waiting(0, b"a"), waiting(1, b"a")
    order.failed([], [second])  # the first was given up in the batch in which it failed
    assert order.freed([first.event]) == [second]
    order.failed([first], [])
    assert order.split([second]) == ([], [second])
    order.drop({0})
    assert (len(order), bool(order)) == (0, False)
