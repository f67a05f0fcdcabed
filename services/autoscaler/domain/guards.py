"""What forbids a step, whatever the numbers ask for: reasons against scale-out and against scale-in, all at once.

Not here: a full next stage. Stages hand on through topics of their own, so a slow stage downstream does not slow
the one before it; a sink that does shows as a scale-out that gains nothing.
"""

from services.autoscaler.domain.capacity import RATE_MIN, backlog_s, has_backlog, waiting
from services.autoscaler.domain.decision import IN, OUT
from services.autoscaler.domain.group import GroupSnapshot
from services.autoscaler.domain.memory import GroupMemory
from services.autoscaler.domain.policy import Limits
from shared.domain.health import GOOD
from shared.domain.reason import Compared, Reason, Remedy

BACK_OFF_DOUBLINGS_MAX = 10


def against_out(snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits, now_s: float) -> tuple[Reason, ...]:
    """Why more nodes would not help; does not keep a group from reaching its minimum."""
    scope, reasons = snapshot.scope, []
    if snapshot.current > 0 and snapshot.ready == 0:
        text = f"none of {snapshot.current} nodes serves yet: wait for them before more are ordered"
        reasons.append(Reason("NodesJoining", scope, text, (Compared("nodes_ready", 0, ">=", 1),)))
    elif stuck(snapshot, memory, limits, now_s):
        signals = snapshot.signals
        reasons.append(
            Reason(
                "ConsumersStuck",
                scope,
                f"{waiting(snapshot):.0f} messages wait and none is finished: a poison message, a sink that is "
                "down or refused credentials; more nodes would not help",
                (Compared("throughput", signals.throughput.value, ">", 0, "messages/s"),),
                remedy=(Remedy("look at the stage's failures and dead letters", cli=f"headrace explain {scope}"),),
            )
        )
    held = now_s - memory.ineffective_at_s
    trying = memory.trial is not None
    if memory.ineffective >= limits.ineffective_max and (trying or held < limits.ineffective_hold_s):
        reasons.append(
            Reason(
                "ScaleOutIneffective",
                scope,
                f"the last {memory.ineffective} scale-outs brought under {limits.gain_min:.0%} of the throughput "
                "they should have: what limits the group is not its node count",
                retry_after_s=max(limits.ineffective_hold_s - held, limits.window_s),
                remedy=(Remedy("look at what all nodes share: a database, a sink, one hot key"),),
            )
        )
    return tuple(reasons)


def stuck(snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits, now_s: float) -> bool:
    """A backlog and nothing finished, by nodes that have had time to start."""
    signals = snapshot.signals
    return (
        snapshot.stream
        and signals.backlog.usable
        and signals.throughput.known
        and has_backlog(snapshot)
        and signals.throughput.value <= RATE_MIN
        and snapshot.ready > 0
        and now_s - memory.ready_changed_at_s >= limits.window_s
    )


def against_any_out(snapshot: GroupSnapshot, limits: Limits, now_s: float) -> tuple[Reason, ...]:
    """Why no node can be had now, not even up to the minimum."""
    scope, reasons = snapshot.scope, []
    closed = sorted(f.fleet for f in snapshot.fleets if "Launch" in f.suspended)
    if closed and len(closed) == len(snapshot.fleets):
        text = f"the Launch process of {', '.join(closed)} is suspended: AWS would start nothing"
        reasons.append(
            Reason("LaunchSuspended", scope, text, remedy=(Remedy("resume the process Launch of the group"),))
        )
    last = snapshot.last_outcome
    if last is None or last.direction != OUT:
        return tuple(reasons)
    age = now_s - last.at_s
    if last.outcome in {"gave_up", "failed"}:
        doublings = min(max(0, last.failures - 1), BACK_OFF_DOUBLINGS_MAX)
        back_off = min(limits.capacity_back_off_s * 2**doublings, limits.capacity_back_off_s_max)
        if age < back_off:
            text = f"the last scale-out did not get its nodes ({last.text}): the next try waits"
            reasons.append(Reason("CapacityBackOff", scope, text, retry_after_s=back_off - age))
    if last.outcome == "refused" and age < _refused_for(last.retry_after_s, limits):
        text = f"the last scale-out was refused: {last.text}"
        reasons.append(
            Reason("RecentlyRefused", scope, text, retry_after_s=_refused_for(last.retry_after_s, limits) - age)
        )
    return tuple(reasons)


def _refused_for(retry_after_s: float | None, limits: Limits) -> float:
    return min(retry_after_s, limits.refused_back_off_s) if retry_after_s is not None else limits.refused_back_off_s


def against_in(snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits, now_s: float) -> tuple[Reason, ...]:
    """Every reason to keep the nodes."""
    return (*_unsettled(snapshot), *_unhealthy(snapshot, memory, limits, now_s), *_recent(snapshot, limits, now_s))


def _unsettled(snapshot: GroupSnapshot) -> list[Reason]:
    scope, reasons = snapshot.scope, []
    if snapshot.rollout or snapshot.changing:
        held = f"{len(snapshot.fleets)} fleets, {len(snapshot.reservations)} reservations"
        text = f"{held}: while code rolls out the group only grows"
        reasons.append(Reason("RolloutInFlight", scope, text, (Compared("fleets", len(snapshot.fleets), "<=", 1),)))
    if snapshot.pending:
        text = f"{snapshot.pending} nodes were ordered and do not serve yet"
        reasons.append(Reason("NodesBooting", scope, text, (Compared("nodes_pending", snapshot.pending, "==", 0),)))
    closed = sorted(f.fleet for f in snapshot.fleets if "Terminate" in f.suspended)
    if closed:
        reasons.append(
            Reason("TerminateSuspended", scope, f"the Terminate process of {', '.join(closed)} is suspended")
        )
    return reasons


def _unhealthy(snapshot: GroupSnapshot, memory: GroupMemory, limits: Limits, now_s: float) -> list[Reason]:
    scope, reasons = snapshot.scope, []
    if snapshot.verdict not in GOOD:
        text = f"the Observer holds the group {snapshot.verdict.value}; taking nodes away needs HEALTHY or IDLE"
        reasons.append(Reason("VerdictNotGood", scope, text))
    if snapshot.stream and snapshot.signals.backlog.usable and has_backlog(snapshot):
        compared = Compared("backlog_s", backlog_s(snapshot), "<=", snapshot.policy.backlog_s_max, "s")
        reasons.append(Reason("BacklogWaiting", scope, f"{waiting(snapshot):.0f} messages wait", (compared,)))
    if memory.lost_at_s is not None and now_s - memory.lost_at_s < limits.mass_loss_hold_s:
        text = f"{memory.lost_nodes} nodes vanished at once: their work must land somewhere first"
        wait = limits.mass_loss_hold_s - (now_s - memory.lost_at_s)
        reasons.append(Reason("MassLoss", scope, text, retry_after_s=wait))
    return reasons


def _recent(snapshot: GroupSnapshot, limits: Limits, now_s: float) -> list[Reason]:
    last = snapshot.last_outcome
    if last is None or last.direction != IN or last.outcome not in {"refused", "failed", "gave_up"}:
        return []
    wait = _refused_for(last.retry_after_s, limits) - (now_s - last.at_s)
    if wait <= 0:
        return []
    return [
        Reason(
            "RecentlyRefused",
            snapshot.scope,
            f"the last scale-in ended as {last.outcome}: {last.text}",
            retry_after_s=wait,
        )
    ]
