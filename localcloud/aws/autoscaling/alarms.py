"""What Auto Scaling needs of CloudWatch: the state of alarms, which alarm calls for a policy, and alarms of its own."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Protocol

PERIOD_S_MAX = 60.0  # after which policies look at their alarms again at the latest


@dataclass(slots=True, frozen=True)
class Breach:
    """An alarm in ALARM whose action is a policy; `value` is the metric's last one, None when nobody measured it."""

    alarm: str
    value: float | None
    threshold: float


@dataclass(slots=True, frozen=True)
class AlarmOrder:
    """An alarm that target tracking keeps for itself; periods of a minute."""

    name: str
    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    operator: str
    threshold: float
    periods: int
    action: str
    queries: tuple[Mapping[str, Any], ...] = ()  # metric math, in the place of one metric


class Alarms(Protocol):
    """CloudWatch's alarms, as Auto Scaling uses them."""

    def state(self, name: str) -> str | None:
        """OK, ALARM or INSUFFICIENT_DATA; None when there is no such alarm."""
        ...

    def breach(self, action: str) -> Breach | None:
        """An alarm in ALARM that has this action; None when there is none."""
        ...

    def names(self, action: str) -> list[str]:
        """All alarms that have this action."""
        ...

    def period_s(self, actions: AbstractSet[str]) -> float:
        """The shortest period of the alarms that have one of these actions, and a minute at most."""
        ...

    def put(self, order: AlarmOrder) -> None:
        """Make an alarm, or change the one of that name."""
        ...

    def delete(self, names: Iterable[str]) -> None:
        """Remove alarms; also those that are gone already."""
        ...

    def measure(self, group: str, values: Mapping[str, float]) -> None:
        """Publish metrics of a group, of this moment."""
        ...


class VirtualAlarms:
    """Alarms as fate sets them: for tests of the model and for simulations."""

    def __init__(self) -> None:
        """None to begin with."""
        self.states: dict[str, str] = {}
        self.breaches: dict[str, Breach] = {}  # by the policy's ARN
        self.orders: dict[str, AlarmOrder] = {}
        self.measured: dict[str, list[Mapping[str, float]]] = {}  # by group
        self.shortest_s = PERIOD_S_MAX

    def state(self, name: str) -> str | None:
        """As fate has set it."""
        return self.states.get(name)

    def breach(self, action: str) -> Breach | None:
        """As fate has set it."""
        return self.breaches.get(action)

    def names(self, action: str) -> list[str]:
        """Those that were put."""
        return [order.name for order in self.orders.values() if order.action == action]

    def period_s(self, actions: AbstractSet[str]) -> float:  # noqa: ARG002  they have none of their own
        """As fate has set it."""
        return self.shortest_s

    def put(self, order: AlarmOrder) -> None:
        """Keep it."""
        self.orders[order.name] = order

    def delete(self, names: Iterable[str]) -> None:
        """Forget them."""
        for name in names:
            self.orders.pop(name, None)

    def measure(self, group: str, values: Mapping[str, float]) -> None:
        """Keep them."""
        self.measured.setdefault(group, []).append(values)
