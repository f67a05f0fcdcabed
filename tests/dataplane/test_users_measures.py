"""What users' code measures, as the node shows it."""

from headrace_runtime.v1 import transform_pb2 as pb

from dataplane.agent.users_metrics import measure_lines
from tests.dataplane.streams import value_of


def test_histograms_are_cumulative_and_counters_are_plain() -> None:
    measures = [
        pb.Measure(kind=pb.Measure.KIND_COUNTER, name="legs", sum=4),
        pb.Measure(kind=pb.Measure.KIND_SCORE, name="delay", sum=1.5, counts=[1, 0, 2], bounds=[0.5, 1]),
    ]
    lines = measure_lines(measures, 'node="i-1"')
    assert 'headrace_users_total{node="i-1",name="legs"} 4' in lines
    assert [value_of(lines, "headrace_score_bucket", le=le) for le in ("0.5", "1", "+Inf")] == [1, 1, 3]
    assert value_of(lines, "headrace_score_count") == 3


def test_what_is_no_measure_is_left_out() -> None:
    counter = pb.Measure.KIND_COUNTER
    measures = [
        pb.Measure(kind=counter, name='x"} 1\nheadrace_messages_out_total{node="i-2', sum=1),
        pb.Measure(kind=counter, name="nan", sum=float("nan")),
        pb.Measure(kind=pb.Measure.KIND_VALUE, name="short", sum=1, counts=[1], bounds=[1, 2]),
        pb.Measure(kind=counter, name="fine", sum=1),
    ]
    assert measure_lines(measures, 'node="i-1"') == [
        "# TYPE headrace_users_total counter",
        'headrace_users_total{node="i-1",name="fine"} 1',
    ]
