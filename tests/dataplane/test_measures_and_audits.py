import re
import time
from pathlib import Path

import numpy as np
from datasketches import compact_theta_sketch, theta_a_not_b
from hypothesis import given
from hypothesis import strategies as st

from dataplane.stages.audits import LEFT_AT_S, MINUTES_MAX, AuditBook
from dataplane.stages.histogram import LAG_BOUNDS_S, Histogram
from dataplane.stages.measures import OTHER, REASONS_MAX, Measures
from tests.dataplane.streams import LABELS, value_of

ROOT = Path(__file__).resolve().parents[2]


@given(st.lists(st.floats(-10, 1000), max_size=50))
def test_a_histogram_counts_each_value_in_every_bucket_at_or_above_it(values: list[float]) -> None:
    histogram = Histogram(LAG_BOUNDS_S)
    histogram.observe(np.asarray(values, dtype=np.float64))
    lines = histogram.lines("lag", 'a="b"')
    for bound in LAG_BOUNDS_S:
        wanted = sum(max(0.0, v) <= bound for v in values)
        assert f'lag_bucket{{a="b",le="{bound:g}"}} {wanted}' in lines
    assert f'lag_count{{a="b"}} {len(values)}' in lines


def test_the_slos_bounds_are_buckets() -> None:
    assert {0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0} <= set(LAG_BOUNDS_S)


def test_measures_carry_the_nodes_labels_and_escape_what_users_made_up() -> None:
    measures = Measures(LABELS | {"node": "i-1"}, {"environment": "abc", "runtime": "0.1.0"})
    now = time.time()
    measures.took([now - 1.5, now - 40], now)
    measures.handed_on([now - 1.5], now)
    measures.failed('a "quoted"\nreason', recoverable=False)
    measures.dropped("filtered", 3)
    measures.retried(2)
    measures.set_oldest(now - 40)
    lines = measures.lines()
    assert value_of(lines, "headrace_messages_in_total", node="i-1", group="g") == 2
    assert value_of(lines, "headrace_lag_in_seconds_bucket", le="2") == 1
    assert value_of(lines, "headrace_lag_out_seconds_bucket", le="2") == 1
    assert value_of(lines, "headrace_retries_total", tier="local") == 2
    assert value_of(lines, "headrace_messages_dropped_total", reason="filtered") == 3
    assert value_of(lines, "headrace_oldest_unprocessed_timestamp_seconds") == now - 40
    assert value_of(lines, "headrace_node_info", environment="abc", runtime="0.1.0") == 1
    assert any('reason="a \\"quoted\\"\\nreason"' in line for line in lines)
    measures.set_oldest(None)
    assert not any("oldest" in line for line in measures.lines())


def test_reasons_that_users_make_up_are_bounded() -> None:
    measures = Measures(LABELS, {})
    for n in range(REASONS_MAX * 2):
        measures.failed(f"r{n}", recoverable=True)
    assert value_of(measures.lines(), "headrace_messages_failed_total", reason=OTHER) == REASONS_MAX
    assert value_of(measures.lines(), "headrace_messages_failed_total") == REASONS_MAX * 2


def test_a_node_exposes_what_the_reference_says_and_nothing_else() -> None:
    table = (ROOT / "docs" / "reference" / "measures.md").read_text()
    declared = dict(re.findall(r"^\| `(headrace_[a-z_]+)` \| ([a-z]+) \|", table, re.MULTILINE))
    measures = Measures(LABELS, {"environment": "", "runtime": ""})
    measures.set_oldest(1.0)
    types = [line.split()[2:] for line in measures.lines() if line.startswith("# TYPE")]
    assert {row[0]: row[1] for row in types} == declared
    labels = {"messages_failed": ("kind", "reason"), "messages_dropped": ("reason",), "retries": ("tier",)}
    for name, wanted in labels.items():
        lines = [line for line in measures.lines() if line.startswith(f"headrace_{name}_total{{")]
        assert lines
        assert all(f'{label}="' in line for line in lines for label in (*wanted, *LABELS))
    assert {"local", "global"} == {
        line.split('tier="')[1][:-3].split('"')[0] for line in measures.lines() if "tier=" in line
    }


def ids_of(book: AuditBook, point: str, minute: int) -> float:
    (report,) = [r for r in book.changed(1000.0, held_back=True) if (r.point, r.minute) == (point, minute)]
    return float(compact_theta_sketch.deserialize(report.sketch).get_estimate())


def test_a_book_goes_on_where_a_killed_node_had_written_it(tmp_path: Path) -> None:
    book = AuditBook(tmp_path)
    saw(book, "out", [f"e{n}" for n in range(500)])
    book.dropped([130.0], "filtered", 1000.0)
    book.write()
    saw(book, "out", ["never-written"])
    again = AuditBook(tmp_path)
    assert ids_of(again, "out", 120) == 500
    saw(again, "out", [f"e{n}" for n in range(400, 700)])
    again.write()
    third = AuditBook(tmp_path)
    (report,) = third.changed(1000.0, held_back=True)
    assert (ids_of(third, "out", 120), report.count, report.dropped) == (700, 800, {"filtered": 1})
    assert report.sequence > book.changed(1000.0, held_back=True)[0].sequence


def test_a_written_minute_that_cannot_be_read_costs_only_itself_and_old_ones_go(tmp_path: Path) -> None:
    book = AuditBook(tmp_path)
    for minute in range(MINUTES_MAX + 5):
        saw(book, "in", ["a"], at=minute * 60.0)
        book.write()
    files = sorted(tmp_path.iterdir())
    assert len(files) == MINUTES_MAX
    files[0].write_bytes(b"torn")
    files[1].write_bytes(b'{"count":1,"dropped":{},"sequence":1}\nno sketch')
    assert len(AuditBook(tmp_path).changed(1000.0, held_back=True)) == MINUTES_MAX - 2


def test_a_node_that_leaves_in_good_order_holds_no_watermark_back() -> None:
    book = AuditBook()
    saw(book, "out", ["a"])
    book.leave()
    assert [r.watermark for r in book.heartbeat(1000.0, held_back=True)] == [LEFT_AT_S]


def saw(book: AuditBook, point: str, ids: list[str], at: float = 120.0, partition: int = 0) -> None:
    book.saw(point, ((i, at, partition) for i in ids), now=max(1000.0, at))


def test_an_audit_tells_which_minute_lost_how_many_and_is_immune_to_duplicates() -> None:
    book = AuditBook()
    ids = [f"e{n}" for n in range(3000)]
    saw(book, "in", ids)
    saw(book, "out", ids[30:] + ids[30:60])
    saw(book, "out", ["later"], at=180.0)
    reports = {(r.point, r.minute): r for r in book.changed(1000.0, held_back=False)}
    assert set(reports) == {("in", 120), ("out", 120), ("out", 180)}
    source, target = (compact_theta_sketch.deserialize(reports[(p, 120)].sketch) for p in ("in", "out"))
    assert theta_a_not_b().compute(source, target).get_estimate() == 30
    assert reports[("out", 120)].count == 3000


def test_a_report_is_sent_until_it_is_taken_and_again_when_the_minute_changed() -> None:
    book = AuditBook()
    saw(book, "in", ["a"])
    (first,) = book.changed(1000.0, held_back=False)
    assert book.changed(1000.0, held_back=False) == [first]
    saw(book, "in", ["b"])
    book.taken([first])  # an older answer than what there is now
    (second,) = book.changed(1000.0, held_back=False)
    assert (second.count, second.sequence > first.sequence) == (2, True)
    book.taken([second])
    assert book.changed(1000.0, held_back=False) == []
    (beat,) = book.heartbeat(1010.0, held_back=False)
    assert (beat.count, beat.watermark) == (2, 1005.0)


def test_while_nothing_is_read_silence_moves_no_watermark() -> None:
    book = AuditBook()
    saw(book, "in", ["a"], at=130.0)
    (report,) = book.changed(5000.0, held_back=True)
    assert report.watermark == 130.0


def test_declared_drops_are_told_by_reason() -> None:
    book = AuditBook()
    book.dropped([61.0, 62.0], "dead_letter", 1000.0)
    (report,) = book.changed(1000.0, held_back=False)
    assert (report.point, report.minute, report.dropped) == ("out", 60, {"dead_letter": 2})


def test_the_book_is_bounded_while_nobody_takes_reports() -> None:
    book = AuditBook()
    for minute in range(MINUTES_MAX * 2):
        saw(book, "in", ["a"], at=minute * 60.0)
    kept = [r.minute for r in book.changed(1000.0, held_back=False)]
    assert (len(kept), min(kept)) == (MINUTES_MAX, MINUTES_MAX * 60)
