"""CloudWatch's alarms in moto's books, judged here by the metrics that were put: moto never looks at them.

An alarm of one metric, or of metric math, is judged when somebody asks for it. Without any datapoint in its window it is what
TreatMissingData says; but what SetAlarmState has said stays until there is one.
"""

import logging
import operator
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import Dimension, Metric, MetricDataQuery, MetricStat

from localcloud.aws import metric_math
from localcloud.aws.autoscaling.alarms import PERIOD_S_MAX, AlarmOrder, Breach
from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.errors import ValidationError
from localcloud.aws.moto_services import MotoServices

log = logging.getLogger(__name__)
ALARM, OK, INSUFFICIENT_DATA = "ALARM", "OK", "INSUFFICIENT_DATA"
WITHOUT_DATA: Mapping[str | None, str] = {"breaching": ALARM, "notBreaching": OK}  # TreatMissingData
NEW, JUDGED = "Unchecked: Initial alarm creation", "Threshold judged: "  # how moto's and our reasons begin
MINUTE_S = 60
GROUPS_NAMESPACE = "AWS/AutoScaling"
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
STATISTICS: Mapping[str, Callable[[list[float]], float]] = {
    "Average": lambda values: sum(values) / len(values),
    "Minimum": min,
    "Maximum": max,
    "Sum": sum,
    "SampleCount": lambda values: float(len(values)),
}


class CloudWatchAlarms:
    """Implements `Alarms` on moto's CloudWatch."""

    def __init__(self, services: MotoServices, clock: Clock) -> None:
        """`clock` says which datapoints are recent."""
        self._services, self._clock = services, clock

    def state(self, name: str) -> str | None:
        """The state of an alarm, judged now."""
        with self._services.lock:
            alarm = self._backend.alarms.get(name)
            if alarm is None:
                return None
            self._judge(alarm)
            return str(alarm.state_value)

    def breach(self, action: str) -> Breach | None:
        """An alarm in ALARM that has this action."""
        with self._services.lock:
            for alarm in self._backend.alarms.values():
                if action in (alarm.alarm_actions or ()) and alarm.actions_enabled:
                    value = self._judge(alarm)
                    if alarm.state_value == ALARM:
                        return Breach(str(alarm.name), value, float(alarm.threshold))
        return None

    def judge_all(self) -> None:
        """Bring all alarms up to date."""
        with self._services.lock:
            for alarm in self._backend.alarms.values():
                self._judge(alarm)

    def period_s(self, actions: AbstractSet[str]) -> float:
        """The shortest period of the alarms that have one of these actions, and a minute at most."""
        with self._services.lock:
            periods = [
                float(alarm.period)
                for alarm in self._backend.alarms.values()
                if alarm.period and not actions.isdisjoint(alarm.alarm_actions or ())
            ]
        return min([PERIOD_S_MAX, *periods])

    def names(self, action: str) -> list[str]:
        """All alarms that have this action."""
        with self._services.lock:
            return [str(a.name) for a in self._backend.alarms.values() if action in (a.alarm_actions or ())]

    def put(self, order: AlarmOrder) -> None:
        """Make an alarm."""
        with self._services.lock:
            self._backend.put_metric_alarm(
                name=order.name,
                namespace=order.namespace or None,
                metric_name=order.metric or None,
                metric_data_queries=[as_query(one) for one in order.queries] or None,
                comparison_operator=order.operator,
                evaluation_periods=order.periods,
                period=None if order.queries else MINUTE_S,
                threshold=order.threshold,
                statistic=order.statistic or None,
                description="DO NOT EDIT OR DELETE. Managed by a target tracking scaling policy.",
                dimensions=[{"Name": name, "Value": value} for name, value in order.dimensions],
                alarm_actions=[order.action],
            )
            self._services.mark(["cloudwatch"])

    def delete(self, names: Iterable[str]) -> None:
        """Remove alarms."""
        with self._services.lock:
            for name in names:
                self._backend.alarms.pop(name, None)
            self._services.mark(["cloudwatch"])

    def measure(self, group: str, values: Mapping[str, float]) -> None:
        """Publish metrics of a group."""
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        dimensions = [{"Name": "AutoScalingGroupName", "Value": group}]
        data = [
            {"MetricName": name, "Value": value, "Dimensions": dimensions, "Timestamp": now}
            for name, value in values.items()
        ]
        with self._services.lock:
            self._backend.put_metric_data(GROUPS_NAMESPACE, data)
            self._services.mark(["cloudwatch"])

    @property
    def _backend(self) -> Any:
        return self._services.backend("cloudwatch")

    def _judge(self, alarm: Any) -> float | None:
        """Bring an alarm's state up to date; the last datapoint of its window, None when there is none."""
        compare = COMPARISONS.get(alarm.comparison_operator)
        if compare is None:
            return None
        points = self._points(alarm)
        if not points:
            self._judge_without_data(alarm)
            return None
        needed = min(int(alarm.datapoints_to_alarm or alarm.evaluation_periods), int(alarm.evaluation_periods))
        breaching = sum(compare(value, float(alarm.threshold)) for value in points)
        state = ALARM if breaching >= needed else OK
        self._turn(alarm, state, f"{breaching} of {len(points)} datapoints breach {alarm.threshold}")
        return points[-1]

    def _judge_without_data(self, alarm: Any) -> None:
        is_new, missing = alarm.state_reason == NEW, alarm.treat_missing_data
        if missing in WITHOUT_DATA:
            self._turn(alarm, WITHOUT_DATA[missing], f"no datapoints, which counts as {missing}")
        elif is_new or (missing != "ignore" and alarm.state_reason.startswith(JUDGED)):
            self._turn(alarm, INSUFFICIENT_DATA, "no datapoints")

    def _turn(self, alarm: Any, state: str, why: str) -> None:
        if state != alarm.state_value or alarm.state_reason == NEW:
            alarm.update_state(JUDGED + why, "{}", state)
            self._services.mark(["cloudwatch"])

    def _points(self, alarm: Any) -> list[float]:
        """One value for each period of the window that has data, the oldest first."""
        periods = int(alarm.evaluation_periods)
        if alarm.metric_name:
            window = Window(periods, int(alarm.period or MINUTE_S))
            dimensions = {(d.name, d.value) for d in alarm.dimensions or ()}
            series: metric_math.Series = self._series(
                window, alarm.namespace, alarm.metric_name, dimensions, alarm.statistic
            )
        else:
            queries = [as_plain(one) for one in alarm.metric_data_queries or ()]
            series = self._calculated(queries, periods)
        return [series[index] for index in sorted(series)]

    def _calculated(self, queries: list[dict[str, Any]], periods: int) -> metric_math.Series:
        """What metric math makes of the metrics; nothing when it can not be evaluated."""
        lengths = [int(q["MetricStat"].get("Period") or MINUTE_S) for q in queries if q.get("MetricStat")]
        window = Window(periods, max(lengths, default=MINUTE_S))

        def measured(stat: Mapping[str, Any]) -> metric_math.Series:
            metric = stat["Metric"]
            dimensions = {(d["Name"], d["Value"]) for d in metric.get("Dimensions") or ()}
            return self._series(window, metric.get("Namespace"), metric["MetricName"], dimensions, stat["Stat"])

        try:
            metric_math.check(queries)
            return metric_math.evaluate(queries, measured, range(periods))
        except ValidationError:
            log.warning("an alarm's metric math can not be evaluated", exc_info=True)
            return {}

    def _series(
        self, window: "Window", namespace: str, name: str, dimensions: set[tuple[str, str]], statistic: str
    ) -> dict[int, float]:
        """The statistic of a metric by period of the window, 0 the oldest."""
        calculate, now = STATISTICS.get(statistic), self._clock.now()
        begin = now - window.period_s * window.periods
        found: dict[int, list[float]] = {}
        for datum in self._backend.metric_data if calculate else ():
            when = datum.timestamp
            moment = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
            if (datum.namespace, datum.name) != (namespace, name) or not begin < moment <= now:
                continue
            if {(d.name, d.value) for d in datum.dimensions or ()} == dimensions and isinstance(
                datum.value, int | float
            ):
                index = min(window.periods - 1, int((moment - begin) // window.period_s))
                found.setdefault(index, []).append(float(datum.value))
        return {index: calculate(values) for index, values in found.items()} if calculate else {}


@dataclass(slots=True, frozen=True)
class Window:
    """The last periods until now, each so many seconds long."""

    periods: int
    period_s: int


def as_query(plain: Mapping[str, Any]) -> MetricDataQuery:
    """Moto's object of a metric data query."""
    stat = plain.get("MetricStat")
    return MetricDataQuery(
        query_id=plain["Id"],
        label=plain.get("Label", ""),
        period=str(plain.get("Period") or MINUTE_S),
        return_data=plain.get("ReturnData", True),
        expression=plain.get("Expression"),
        metric_stat=as_stat(stat) if stat else None,
    )


def as_stat(plain: Mapping[str, Any]) -> MetricStat:
    """Moto's object of a metric with its statistic."""
    metric = plain["Metric"]
    dimensions = [Dimension(one["Name"], one["Value"]) for one in metric.get("Dimensions") or ()]
    named = Metric(metric["MetricName"], metric["Namespace"], dimensions)
    return MetricStat(named, str(plain.get("Period") or MINUTE_S), plain["Stat"], plain.get("Unit") or "")


def as_plain(query: Any) -> dict[str, Any]:
    """A metric data query of moto's in AWS's own form."""
    plain: dict[str, Any] = {"Id": query.id, "ReturnData": str(query.return_data).lower() in {"true", "none"}}
    if query.expression:
        plain["Expression"] = query.expression
    if query.metric_stat:
        metric = query.metric_stat.metric
        dimensions = [{"Name": one.name, "Value": one.value} for one in metric.dimensions or ()]
        named = {"Namespace": metric.namespace, "MetricName": metric.metric_name, "Dimensions": dimensions}
        plain["MetricStat"] = {"Metric": named, "Stat": query.metric_stat.stat, "Period": query.metric_stat.period}
    return plain
