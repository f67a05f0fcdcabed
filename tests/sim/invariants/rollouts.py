"""Invariants of rollouts: floors, growth before removal, routes, what is undone, what was asked for, who wrote it down."""

from tests.sim.invariants.base import Invariant, LedgerState
from tests.sim.invariants.rest import PERCENT, Removal, Rest, Served
from tests.sim.invariants.scaling import Resize
from workflows.policies import POLICIES

UNSERVED_S_MAX = 60.0  # clients ask for routes every few seconds, and machines that died are replaced
RENEWED_S_MAX = 120.0  # a tick that stood still between its look at activities and what it made of it
RESERVED_S_MAX = 720.0  # the longest time to live that a workflow asks for


class FloorKept(Invariant):
    """What a deployment counts on stays."""

    sentence = "A fleet is not set below the floor that a living reservation of its group asks of it."

    def resized(self, resize: Resize, ledger: LedgerState, now: float) -> None:
        if resize.wanted >= resize.before:
            return
        for r in resize.reservations:
            floor = r.floor if resize.asg.endswith(r.fleet) else r.other_floor
            self.record.reach("shrinks beside a reservation")
            if r.expires_at_s > now and resize.wanted < min(floor, resize.before):
                self.broken(f"{resize.asg} was set to {resize.wanted} below the floor of {floor} of {r.activity}")


class FloorReleased(Invariant):
    """Nothing is pinned by what has ended."""

    sentence = "No reservation is renewed after its activity has ended, and at rest none lives whose activity has."

    def served(self, served: Served) -> None:
        for activity, renewed_s in served.outlived:
            self.record.reach("a reservation outlives its activity")
            if renewed_s > RENEWED_S_MAX:
                self.broken(f"{served.group} keeps a floor for {activity}, renewed {renewed_s:.0f} s after its end")

    def rested(self, rest: Rest) -> None:
        if rest.healed_for_s < RESERVED_S_MAX:
            return
        for r in rest.reservations:
            a = rest.ledger.activities.get(r.activity)
            if a is None or not a.live(rest.now):
                self.broken(f"{r.fleet} keeps a floor of {r.floor} for {r.activity}, which has ended")


class GrowthBeforeRemoval(Invariant):
    """What serves leaves last."""

    sentence = "A fleet is removed only when it has no traffic and the others serve what the group needs."

    def removing(self, removal: Removal) -> None:
        self.record.reach("fleet removed")
        if removal.unwanted:
            return
        if removal.weights.get(removal.fleet, 0) > 0:
            self.broken(f"{removal.fleet} is removed with a weight of {removal.weights[removal.fleet]}")
        serving = sum(f.in_service for f in removal.others if removal.weights.get(f.fleet, 0) > 0)
        if not serving and not removal.ill:
            self.broken(f"{removal.fleet} is removed and nothing of {removal.group} is in service with traffic")


class SharesSumToOne(Invariant):
    """All of the traffic goes somewhere."""

    sentence = "The parts of a group's traffic sum to the whole, and at rest all of it is on fleets that exist."

    def served(self, served: Served) -> None:
        total = sum(served.weights.values())
        if total not in {0, PERCENT}:
            self.broken(f"{served.group}: the weights {dict(served.weights)} sum to {total}")

    def rested(self, rest: Rest) -> None:
        for group in rest.groups:
            total = sum(group.weights.values())
            if group.standing and group.deployments and total != PERCENT:
                self.broken(f"{group.name}: the weights {dict(group.weights)} sum to {total}")
            for fleet, weight in group.weights.items():
                if weight > 0 and fleet not in {f.fleet for f in rest.cloud}:
                    self.broken(f"{group.name}: {fleet} has a weight of {weight} and the cloud has no such fleet")


class DataPlaneAlone(Invariant):
    """Clients are answered whoever is down."""

    sentence = "A group that was answered once goes on being answered while the cloud leaves it machines."

    def __init__(self, record: object) -> None:
        super().__init__(record)  # type: ignore[arg-type]
        self._since: dict[str, float] = {}
        self._began: set[str] = set()

    def served(self, served: Served) -> None:
        now = self.record.now()
        if not served.there:
            self._began.discard(served.group)
        if served.answered:
            self._began.add(served.group)
        alive = any(f.in_service for f in served.fleets)
        if served.answered or served.taken or served.group not in self._began or not alive:
            self._since.pop(served.group, None)
            return
        since = self._since.setdefault(served.group, now)
        if now - since > UNSERVED_S_MAX:
            self.broken(f"{served.group}: nobody answers for {now - since:.0f} s, clients know {dict(served.routes)}")


class UndoneOrDone(Invariant):
    """Nothing is left half way."""

    sentence = "At rest each group has one fleet, what the cloud has is what groups have, and no lock is left."

    def rested(self, rest: Rest) -> None:
        if any(r.open for r in rest.runs if r.kind not in {"CheckDrift", "Sweep"}):
            return  # Progress tells
        known = {f for g in rest.groups for f in g.standing}
        for fleet in rest.cloud:
            if fleet.fleet not in known:
                self.broken(f"the cloud has {fleet.fleet}, which no group has")
        for group in rest.groups:
            failed = any(phase == "FAILED" for _, phase, _, _ in group.deployments)
            if len(group.standing) > 1 and not failed:
                self.broken(f"{group.name} has {list(group.standing)} though no deployment failed")


class ServesOrIsGone(Invariant):
    """What was called off is not left standing."""

    sentence = "At rest, when all was applied once more in peace, a group that has a fleet has traffic."

    def rested(self, rest: Rest) -> None:
        if any(r.open for r in rest.runs if r.kind not in {"CheckDrift", "Sweep"}):
            return  # Progress tells
        for group in rest.groups:
            if group.standing and not any(group.weights.values()):
                self.broken(f"{group.name} has {list(group.standing)} and no traffic goes there")


class RollbackOnce(Invariant):
    """A way back is taken once."""

    sentence = "A deployment is rolled back by at most one run, and never one that was finished."

    def rested(self, rest: Rest) -> None:
        seen: set[str] = set()
        for run in rest.runs:
            if run.kind != "RollBack":
                continue
            self.record.reach(f"rollback {run.outcome}")
            if run.request in seen:
                self.broken(f"deployment {run.request} was rolled back twice")
            seen.add(run.request)
        for group in rest.groups:
            for deployment, phase, _, _ in group.deployments:
                if deployment in seen and phase == "FINISHED":
                    self.broken(f"deployment {deployment} is {phase} and was rolled back")


class IntentWins(Invariant):
    """What was asked for is what there is."""

    sentence = "At rest a group runs what its newest deployment that was carried out was to bring, or brought back."

    def rested(self, rest: Rest) -> None:
        for group in rest.groups:
            if not group.deployments or len(group.standing) != 1 or group.made_anew:
                continue
            _, phase, fleet, before = group.deployments[0]
            expected = {"FINISHED": fleet, "ROLLED_BACK": before, "CANCELLED": before}.get(phase)
            self.record.reach(f"deployment {phase}")
            if expected and group.standing[0] != expected:
                self.broken(f"{group.name} runs {group.standing[0]}, its deployment is {phase} and means {expected}")


class Concluded(Invariant):
    """What has ended reads as ended."""

    sentence = "At rest every deployment is in a final phase, as its workflow is."
    final = frozenset({"FINISHED", "ROLLED_BACK", "FAILED", "CANCELLED", "SUPERSEDED", "REFUSED"})

    def rested(self, rest: Rest) -> None:
        if any(r.open for r in rest.runs if r.kind not in {"CheckDrift", "Sweep"}):
            return  # Progress tells
        for group in rest.groups:
            for deployment, phase, fleet, _ in group.deployments:
                if phase not in self.final:
                    self.broken(f"deployment {deployment} of {fleet} is {phase} for ever: nothing works on it")


class BoundedRetries(Invariant):
    """Nothing is tried for ever."""

    sentence = "No activity is attempted more often than its policy allows."

    def rested(self, rest: Rest) -> None:
        for run in rest.runs:
            for name, attempts, total_s in run.activities:
                policy = POLICIES[name]
                most = policy.attempts or 1 + total_s / policy.retry_first_s
                if attempts > most:
                    self.broken(f"{name} of {run.id} was attempted {attempts} times, allowed are {most:.0f}")


class Replays(Invariant):
    """A history says the same every time."""

    sentence = "Every history replays to the same commands, wherever a worker forgot it, and no workflow task fails."

    def rested(self, rest: Rest) -> None:
        if rest.problems:
            self.broken(rest.problems[0])


class AuditComplete(Invariant):
    """Whoever changes the world is in the log."""

    sentence = "Every operation that a workflow carries out for a person stands in the audit log."

    def rested(self, rest: Rest) -> None:
        for run in rest.runs:
            asked = run.request.startswith("op-") and "/" not in run.request
            if asked and not {run.request, run.id} & rest.audited:
                self.broken(f"{run.kind} {run.id} carries out {run.request}, which the audit log does not know")


class Followed(Invariant):
    """What was handed over is followed to its end."""

    sentence = "At rest every operation of the admin API has ended, as its workflow has."

    def rested(self, rest: Rest) -> None:
        still = {r.request for r in rest.runs if r.open}
        for operation, state in rest.operations:
            if state != "ended" and operation not in still and rest.healed_for_s >= RESERVED_S_MAX:
                self.broken(f"operation {operation} is {state} and nothing works on it")


class NoOscillation(Invariant):
    """Sizes do not swing."""

    sentence = "A fleet outside of a rollout turns at most three times in ten minutes without its load having turned."
    window_s, most = 600.0, 3

    def __init__(self, record: object) -> None:
        super().__init__(record)  # type: ignore[arg-type]
        self._last: dict[str, int] = {}
        self._turns: dict[str, list[float]] = {}
        self._load: dict[str, float] = {}  # at the last turn

    def resized(self, resize: Resize, ledger: LedgerState, now: float) -> None:
        way = (resize.wanted > resize.before) - (resize.wanted < resize.before)
        if not way or resize.reservations:
            return
        turns = self._turns.setdefault(resize.asg, [])
        if self._last.get(resize.asg, way) != way:
            load, before = resize.arrival_now, self._load.get(resize.asg, resize.arrival_now)
            own = [] if (load - before) * way > 0 else [now]
            turns[:] = [*(t for t in turns if t > now - self.window_s), *own]
            self._load[resize.asg] = load
        self._last[resize.asg] = way
        if len(turns) > self.most:
            self.broken(f"{resize.asg} turned {len(turns)} times in {self.window_s:.0f} s")


ROLLOUTS: tuple[type[Invariant], ...] = (
    FloorKept, FloorReleased, GrowthBeforeRemoval, SharesSumToOne, DataPlaneAlone, UndoneOrDone, ServesOrIsGone, RollbackOnce,
    IntentWins, Concluded, BoundedRetries, Replays, AuditComplete, Followed, NoOscillation,
)  # fmt: skip
