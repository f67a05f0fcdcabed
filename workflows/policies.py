"""How long each kind of Temporal activity may take, how it is retried, and which activity is of which kind.

One table, so that no limit hides at a call site. `total_s` covers the restart of a service between two attempts; what
has a `heartbeat_s` reports while it runs, so that a dead worker is noticed long before the attempt's limit.
"""

from dataclasses import dataclass

LEASE_TTL_S = 30.0
BEAT_S = LEASE_TTL_S / 3


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of one kind; `attempts` 0 means as many as fit into `total_s`."""

    attempt_s: float
    total_s: float
    heartbeat_s: float | None = None
    retry_first_s: float = 0.5
    retry_max_s: float = 5.0
    attempts: int = 0


READ = Policy(attempt_s=15, total_s=120)
RECORD = Policy(attempt_s=10, total_s=300)
ADMISSION = Policy(attempt_s=10, total_s=300)
BEAT = Policy(attempt_s=4, total_s=BEAT_S, retry_max_s=2)
JUDGE = Policy(attempt_s=20, total_s=120)
ROUTE = Policy(attempt_s=20, total_s=180)
SIZE = Policy(attempt_s=30, total_s=180)
TOPICS = Policy(attempt_s=60, total_s=300)
STACK = Policy(attempt_s=900, total_s=1800, heartbeat_s=60, retry_first_s=1, retry_max_s=15, attempts=6)
WAIT = Policy(attempt_s=60, total_s=300, heartbeat_s=30)  # both limits grow by the wait that is asked for
BUILD = Policy(attempt_s=900, total_s=1800, heartbeat_s=60, attempts=4)
SWEEP = Policy(attempt_s=60, total_s=120, attempts=3)
DRIFT = Policy(attempt_s=120, total_s=300, attempts=3)

REDRIVE = Policy(attempt_s=6 * 3600, total_s=24 * 3600, heartbeat_s=60)  # a long shelf at a slow rate

DRIVE = Policy(attempt_s=90, total_s=360, heartbeat_s=15, attempts=3)  # both limits grow by the step

POLICIES: dict[str, Policy] = {
    "observer.begin": ADMISSION,
    "observer.heartbeat": BEAT,
    "observer.end": ADMISSION,
    "observer.verdict": READ,
    "observer.sweep": SWEEP,
    "provisioner.register_group": RECORD,
    "provisioner.get_group": READ,
    "provisioner.get_pipeline": READ,
    "provisioner.apply_group": STACK,
    "provisioner.remove_group": STACK,
    "provisioner.add_fleet": STACK,
    "provisioner.remove_fleet": STACK,
    "provisioner.wait_members": WAIT,
    "provisioner.set_weights": ROUTE,
    "provisioner.set_ramp": ROUTE,
    "provisioner.register_pipeline": TOPICS,
    "provisioner.remove_pipeline": TOPICS,
    "provisioner.build_environment": BUILD,
    "provisioner.get_environment": READ,
    "provisioner.remove_environment": RECORD,
    "provisioner.check_drift": DRIFT,
    "provisioner.repair_drift": STACK,
    "provisioner.redrive_dead_letters": REDRIVE,
    "provisioner.add_copy": STACK,
    "provisioner.drive_step": DRIVE,
    "provisioner.sweep": SWEEP,
    "deployer.open_deployment": RECORD,
    "deployer.record_step": RECORD,
    "deployer.judge": JUDGE,
    "deployer.close_deployment": RECORD,
    "deployer.first_revision": RECORD,
    "autoscaler.reserve": SIZE,
    "autoscaler.release": RECORD,
    "autoscaler.set_desired": SIZE,
    "autoscaler.wait_in_service": WAIT,
    "autoscaler.record_outcome": RECORD,
    "autoscaler.record_rating": RECORD,
    "autoscaler.sweep": SWEEP,
}
