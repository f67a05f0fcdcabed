"""The Autoscaler's own metrics."""

from prometheus_client import Counter, Gauge

from services.autoscaler.domain.decision import HOLD, Decision

CURRENT = Gauge("headrace_autoscaler_nodes_current", "Size of a group as the Autoscaler counts it.", ["group"])
WANTED = Gauge("headrace_autoscaler_nodes_wanted", "Size the Autoscaler wants.", ["group"])
NODE_RATE = Gauge("headrace_autoscaler_node_rate", "Messages/s that one node of a group can do.", ["group"])
AGE = Gauge("headrace_autoscaler_signal_age_seconds", "Age of the newest sample of the newest decision.", ["group"])
DECISIONS = Counter("headrace_autoscaler_decisions_total", "Decisions.", ["action"])
HELD = Counter("headrace_autoscaler_held_total", "Decisions to hold, by reason.", ["code"])


class PrometheusMeter:
    """Implements `ports.Meter`."""

    def decided(self, decision: Decision, node_rate: float | None) -> None:
        """See `ports.Meter`."""
        CURRENT.labels(decision.group).set(decision.current)
        WANTED.labels(decision.group).set(decision.wanted)
        AGE.labels(decision.group).set(decision.signal_age_s)
        if node_rate is not None:
            NODE_RATE.labels(decision.group).set(node_rate)
        DECISIONS.labels(decision.action).inc()
        if decision.action == HOLD:
            for reason in decision.reasons:
                HELD.labels(reason.code).inc()
