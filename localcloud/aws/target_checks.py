"""Health checks of targets, as a load balancer makes them, and DescribeTargetHealth.

A machine that is a process is really asked at its address: by HTTP for HTTP and HTTPS, by a connection for every other
protocol. A virtual machine passes while it is on and does not hang. A fault `failing-target` fails the checks of either. Checks
of processes run on threads of their own, so that a machine that does not answer holds up nothing.
"""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.balancing import Balancing, settings_of, targets_of
from localcloud.aws.errors import AwsError
from localcloud.aws.faults import Faults
from localcloud.aws.machine_processes import ProcessMachines
from localcloud.aws.machines import Machines, Power
from localcloud.aws.moto_services import MotoServices
from localcloud.aws.target_health import FAILED, MISMATCH, TIMEOUT, Outcome, TargetState, observe

CHECKS_AT_ONCE_MAX = 16
HTTP_OK = "200"
TRAFFIC_PORT = "traffic-port"
Probe = Callable[[], Outcome]


@dataclass(slots=True, frozen=True)
class Checked:
    """One target of one group, while it is checked."""

    group: str
    target: str


class TargetChecks:
    """`run_due` makes the checks whose time has come; `on_change` is told whose health is another."""

    def __init__(  # noqa: PLR0913  a check looks at all of this
        self,
        services: MotoServices,
        balancing: Balancing,
        machines: Machines,
        faults: Faults,
        clock: Clock,
        on_change: Callable[[str], None],
    ) -> None:
        """Nothing is checked before `run_due` is called."""
        self._services, self._balancing, self._machines = services, balancing, machines
        self._faults, self._clock, self._on_change = faults, clock, on_change
        self._asked: set[Checked] = set()  # who has not answered yet
        self._threads = ThreadPoolExecutor(CHECKS_AT_ONCE_MAX, "target-check")

    def run_due(self) -> list[str]:
        """Check what is due; the ids of those whose state is another now."""
        changed: list[str] = []
        with self._services.lock:
            for group in self._balancing.groups():
                self._balancing.follow(group)
                if not targets_of(group) or not group.health_check_enabled or not self._balancing.in_use(group):
                    continue
                changed += [instance_id for instance_id in list(group.targets) if self._check(group, instance_id)]
        return changed

    def next_due(self) -> float | None:
        """When `run_due` has something to do."""
        times = []
        with self._services.lock:
            for group in self._balancing.groups():
                known = targets_of(group)
                times += [t.draining_until for t in known.values() if t.state is TargetState.DRAINING]
                if known and group.health_check_enabled and self._balancing.in_use(group):
                    times += [
                        t.next_at
                        for one, t in known.items()
                        if t.state is not TargetState.DRAINING and Checked(group.arn, one) not in self._asked
                    ]
        return min(times, default=None)

    def describe(self, arn: str, targets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The TargetHealthDescriptions of a group: of the targets that are named, else of all; AwsError."""
        with self._services.lock:
            group = self._balancing.target_group(arn)
            if group is None:
                raise AwsError("TargetGroupNotFound", "One or more target groups not found")
            self._balancing.follow(group)
            ids = [one["Id"] for one in targets] or list(targets_of(group))
            return [self._described(group, one) for one in ids]

    def close(self) -> None:
        """Begin no more checks; those under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _described(self, group: Any, instance_id: str) -> dict[str, Any]:
        found = self._balancing.find(group.arn, instance_id)
        port = port_of(group, instance_id)
        check_port = group.health_check_port
        health = {"State": found.state.value, "Reason": found.reason or None, "Description": found.description or None}
        return {
            "Target": {"Id": instance_id, "Port": port},
            "HealthCheckPort": str(port) if check_port in {None, TRAFFIC_PORT} else str(check_port),
            "TargetHealth": health,
        }

    def _check(self, group: Any, instance_id: str) -> bool:
        target, who = targets_of(group)[instance_id], Checked(group.arn, instance_id)
        now = self._clock.now()
        if target.next_at > now or who in self._asked:
            return False
        if not self._balancing.runs(instance_id):
            target.next_at = now + settings_of(group).interval_s
            return False
        if self._faults.fails_target(group.arn, instance_id):
            return self._note(group, instance_id, Outcome(FAILED))
        if not isinstance(self._machines, ProcessMachines):
            well = self._machines.power(instance_id) is Power.ON
            return self._note(group, instance_id, Outcome() if well else Outcome(TIMEOUT))
        probe = self._probe(group, instance_id)
        self._asked.add(who)
        self._threads.submit(self._ask, who, probe)
        return False

    def _probe(self, group: Any, instance_id: str) -> Probe:
        instance = self._services.backend("ec2").get_instance_by_id(instance_id)
        address, timeout_s = str(instance.private_ip), settings_of(group).timeout_s
        named = str(group.health_check_port)
        port = int(named) if named.isdigit() else port_of(group, instance_id)
        protocol = str(group.health_check_protocol or "").upper()
        if protocol not in {"HTTP", "HTTPS"}:
            return lambda: connects(address, port, timeout_s)
        url = f"{protocol.lower()}://{address}:{port}{group.health_check_path or '/'}"
        codes = str((getattr(group, "matcher", None) or {}).get("HttpCode") or HTTP_OK)
        return lambda: answers(url, codes, timeout_s)

    def _ask(self, who: Checked, probe: Probe) -> None:
        changed, outcome = False, Outcome(FAILED)
        try:
            outcome = probe()
        finally:
            with self._services.lock:
                self._asked.discard(who)
                group = self._balancing.target_group(who.group)
                if group is not None and who.target in group.targets:
                    changed = self._note(group, who.target, outcome)
        if changed:
            self._on_change(who.target)

    def _note(self, group: Any, instance_id: str, outcome: Outcome) -> bool:
        changed = observe(targets_of(group)[instance_id], settings_of(group), outcome, self._clock.now())
        if changed:
            self._services.mark(["elbv2"])
        return changed


def port_of(group: Any, instance_id: str) -> int:
    """The port at which a target gets its traffic."""
    return int(group.targets.get(instance_id, {}).get("Port") or group.port or 0)


def connects(address: str, port: int, timeout_s: float) -> Outcome:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((address, port), timeout_s):
            return Outcome()
    except TimeoutError:
        return Outcome(TIMEOUT)
    except OSError:
        return Outcome(FAILED)


def answers(url: str, codes: str, timeout_s: float) -> Outcome:
    """Whether a GET is answered with one of the codes ("200", "200,202", "200-299")."""
    try:
        # A load balancer does not look at the certificates of its targets.
        status = httpx.get(url, timeout=timeout_s, trust_env=False, verify=False).status_code  # noqa: S501
    except httpx.TimeoutException:
        return Outcome(TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL):
        return Outcome(FAILED)
    return Outcome() if is_one_of(status, codes) else Outcome(MISMATCH, str(status))


def is_one_of(status: int, codes: str) -> bool:
    """Whether a status is among those that a matcher names.

    >>> [is_one_of(204, codes) for codes in ("200", "200,204", "200-299", "300-399")]
    [False, True, True, False]
    """
    for part in codes.split(","):
        low, _, high = part.strip().partition("-")
        if low.isdigit() and int(low) <= status <= int(high if high.isdigit() else low):
            return True
    return False
