"""CloudWatch's alarms in moto's books, judged here by the metrics that were put: moto never looks at them.

An alarm of one metric is judged when somebody asks for it. Without any datapoint in its window it stays as it is, which
keeps what SetAlarmState has said.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import Any

from localcloud.aws.autoscaling.alarms import AlarmOrder, Breach
from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.moto_services import MotoServices

ALARM, OK = "ALARM", "OK"
MINUTE_S = 60
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

    def names(self, action: str) -> list[str]:
        """All alarms that have this action."""
        with self._services.lock:
            return [str(a.name) for a in self._backend.alarms.values() if action in (a.alarm_actions or ())]

    def put(self, order: AlarmOrder) -> None:
        """Make an alarm."""
        with self._services.lock:
            self._backend.put_metric_alarm(
                name=order.name,
                namespace=order.namespace,
                metric_name=order.metric,
                comparison_operator=order.operator,
                evaluation_periods=order.periods,
                period=MINUTE_S,
                threshold=order.threshold,
                statistic=order.statistic,
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

    @property
    def _backend(self) -> Any:
        return self._services.backend("cloudwatch")

    def _judge(self, alarm: Any) -> float | None:
        """Bring an alarm's state up to date; the last datapoint of its window, None when there is none."""
        compare, statistic = COMPARISONS.get(alarm.comparison_operator), STATISTICS.get(alarm.statistic)
        if compare is None or statistic is None or not alarm.metric_name:
            return None
        points = self._points(alarm, statistic)
        if not points:
            return None
        needed = min(int(alarm.datapoints_to_alarm or alarm.evaluation_periods), int(alarm.evaluation_periods))
        breaching = sum(compare(value, float(alarm.threshold)) for value in points)
        state = ALARM if breaching >= needed else OK
        if state != alarm.state_value:
            alarm.update_state(f"{breaching} of {len(points)} datapoints breach {alarm.threshold}", "{}", state)
            self._services.mark(["cloudwatch"])
        return points[-1]

    def _points(self, alarm: Any, statistic: Callable[[list[float]], float]) -> list[float]:
        """One value for each period of the window that has data, the oldest first."""
        now, period = self._clock.now(), int(alarm.period or MINUTE_S)
        begin = now - period * int(alarm.evaluation_periods)
        wanted = {(d.name, d.value) for d in alarm.dimensions or ()}
        found: dict[int, list[float]] = {}
        for datum in self._backend.metric_data:
            when = datum.timestamp
            moment = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
            if (datum.namespace, datum.name) != (alarm.namespace, alarm.metric_name) or not begin < moment <= now:
                continue
            if {(d.name, d.value) for d in datum.dimensions or ()} == wanted and isinstance(datum.value, int | float):
                found.setdefault(int((moment - begin) // period), []).append(float(datum.value))
        return [statistic(found[index]) for index in sorted(found)]
