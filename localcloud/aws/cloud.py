"""The embedded AWS as one object: the model under its lock, moto beside it, machines, faults, and what is kept of it all.

Order of locks, always: the model's, then the saving one, then moto's, then the state file's. A call writes down what is wanted and is saved
before it is answered; the ticker then steps the groups and saves again. Machines report from their own thread.
"""

import logging
import random
import secrets
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localcloud.aws import actions
from localcloud.aws.autoscaling import documents, lifecycle, reconcile
from localcloud.aws.autoscaling.clock import WallClock
from localcloud.aws.autoscaling.world import Quotas, World
from localcloud.aws.cloud_settings import CloudSettings
from localcloud.aws.cloudwatch_alarms import CloudWatchAlarms
from localcloud.aws.delayed_reads import DelayedReads
from localcloud.aws.direct_machines import DirectMachines
from localcloud.aws.ec2_compute import Ec2Compute
from localcloud.aws.faults import Faults
from localcloud.aws.iam.access import Access
from localcloud.aws.iam.resources import Namer
from localcloud.aws.imds import PREFIX, MetadataService
from localcloud.aws.keeping import Keeping
from localcloud.aws.late_services import LateServices
from localcloud.aws.machine_processes import ProcessMachines, can_bind
from localcloud.aws.machines import Addresses, Machines, VirtualMachines
from localcloud.aws.messenger import Messenger
from localcloud.aws.moto_services import MotoServices, forget_tracked_instances
from localcloud.aws.network.books import Network
from localcloud.aws.state_file import StateFile
from localcloud.aws.target_checks import TargetChecks
from localcloud.aws.trouble import Trouble

log = logging.getLogger(__name__)
TICK_S_MAX = 1.0
CLEAN_EVERY_S = 60.0
GROUPS_MAX = 5_000  # AWS's default quota is 500; an account may have more on request


class Cloud:
    """Everything behind the front."""

    def __init__(self, settings: CloudSettings) -> None:
        """Reads the state file if there is one; `start` sets things in motion."""
        self.settings, self.clock = settings, WallClock()
        self.lock = threading.RLock()
        self._news = threading.Event()
        self._closed = False
        chance = random.Random(settings.seed)  # noqa: S311  which calls a fault hits is no secret
        self.state = StateFile(settings.state)
        self._folder = None if settings.state else tempfile.TemporaryDirectory(prefix="localcloud-aws-")
        self.directory = settings.state.parent if settings.state else Path(str(self._folder and self._folder.name))
        self.directory.chmod(0o755)
        self.services = MotoServices(settings.region)
        self._keeping = Keeping(self.services, self.state, self.directory)
        self._keeping.load_services()
        self.faults = Faults(self.clock, new_id, chance, self.state, throttled=settings.throttled)
        self.machines = self._make_machines()
        usable = can_bind if settings.machines == "process" else lambda _address: True
        start = chance.randrange(1 << 16) if settings.machines == "process" else 0
        addresses = Addresses(start, usable)

        def boot_s() -> float:
            return settings.boot.sample(chance)

        self.compute = Ec2Compute(self.services, self.machines, addresses, self.faults, self.clock, boot_s, self.state)
        self.direct = DirectMachines(
            self.services, self.compute, self.machines, addresses, self.clock, boot_s, self.state
        )
        self.checks = TargetChecks(
            self.services, self.compute.balancing, self.machines, self.faults, self.clock, self.machine_changed
        )
        self.messages = Messenger(self.services)
        self.alarms = CloudWatchAlarms(self.services, self.clock)
        self.world = World(
            self.clock,
            self.compute,
            new_id,
            account=self.services.account,
            region=settings.region,
            quotas=Quotas(groups=GROUPS_MAX),
            alarms=self.alarms,
            messages=self.messages,
        )
        self._keeping.load_groups(self.world, self.compute)
        self.network = Network(self.services)
        namer = Namer(self.services.account, settings.region, self._group_arn, self.world.owners.get)
        self.access = Access(settings.iam, self.services, namer, self._tags_of, self.clock, settings.root)

        def late_s(service: str) -> float:
            return max(settings.read_delay_s, self.faults.read_delay_s(service))

        self.reads = DelayedReads(self.world, lambda: late_s("autoscaling"))
        self.late = LateServices(self.services, self.clock, late_s)
        self.trouble = Trouble(self.faults, self.machines, (self.reads, self.late), self.lock)
        secret = self.state.fact("metadata-secret", secrets.token_hex(32))
        self.metadata = MetadataService(
            self.services,
            self.compute,
            self.clock,
            secret,
            self.target_state,
            self.save_services,
            self.access,
            self.direct,
            self.machines.uid if isinstance(self.machines, ProcessMachines) else lambda _instance_id: None,
        )
        self._ticker = threading.Thread(target=self._tick_on, name="auto-scaling", daemon=True)

    def start(self) -> None:
        """Adopt machines and begin to step groups."""
        booted = {
            member.id: self.compute.instance(member.id).private_ip
            for group in self.world.groups.values()
            for member in group.members.values()
            if member.booted and not member.ended
        }
        booted |= self.direct.restore(self.world.owners)
        if isinstance(self.machines, ProcessMachines):
            self.machines.start(booted)
        else:
            for instance_id, address in booted.items():
                self.machines.boot(instance_id, address)
        for name in self.world.groups:
            self.world.wake(name, self.clock.now())
        self.messages.start()
        self._ticker.start()

    def close(self) -> None:
        """Stop, end all machines, save."""
        self._closed = True
        self._news.set()
        if self._ticker.is_alive():
            self._ticker.join()
        self.checks.close()
        self.messages.close()
        self.machines.close()
        with self.lock:
            self._keeping.finish()
            self.services.mark(["s3", "ec2"])
            self._save()
        self.state.close()
        if self._folder is not None:
            self._folder.cleanup()

    def call(self, action: str, parameters: Mapping[str, Any], *, known: bool) -> dict[str, Any]:
        """An action of Auto Scaling; AwsError."""
        do = actions.find(action, known=known)
        with self.lock:
            if action in actions.READS:
                return do(self.reads.view(), parameters)
            answer = do(self.world, parameters)
            self._save()
        self._news.set()
        return answer

    def hurry(self) -> None:
        """Something may be due sooner than the ticker thinks."""
        self._news.set()

    def machine_changed(self, instance_id: str) -> None:
        """News from the machines' side."""
        with self.lock:
            self.world.machine_changed(instance_id)
        self._news.set()

    def target_state(self, instance_id: str) -> str | None:
        """Where an instance is going, for its metadata; None when it is in no group."""
        with self.lock:
            group = self.world.groups.get(self.world.owners.get(instance_id, ""))
            member = group.members.get(instance_id) if group else None
            if group is None or member is None:
                return None
            return lifecycle.target_of(member.lifecycle, group.warm_pool.state if group.warm_pool else "Stopped")

    def _group_arn(self, name: str) -> str | None:
        group = self.world.groups.get(name)
        return group.arn if group else None

    def _tags_of(self, arn: str) -> dict[str, str]:
        """The tags of a group or an instance, for conditions of policies."""
        kind, _, name = arn.rpartition("/")
        with self.lock:
            if kind.endswith(":autoScalingGroupName"):
                group = self.world.groups.get(name)
                return {tag.key: tag.value for tag in group.tags.values()} if group else {}
        instance = self.compute.instance(name) if kind.endswith(":instance") else None
        return {tag["key"]: tag["value"] for tag in instance.get_tags()} if instance else {}

    def save_services(self) -> None:
        """Write down what moto's services have changed."""
        self._write({})

    # ------------------------------------------------------------------------------------------------------------ parts

    def _tick_on(self) -> None:
        clean_at = time.monotonic() + CLEAN_EVERY_S
        while not self._closed:
            try:
                taken = [*self.direct.run_due(), *self.checks.run_due()]
                with self.lock:
                    for instance_id in taken:
                        self.world.machine_changed(instance_id)
                    if reconcile.run_due(self.world):
                        self._save()
                    due = earliest(
                        self.world.next_due(), self.direct.next_due(), self.checks.next_due(), self.late.next_due()
                    )
                if time.monotonic() > clean_at:
                    clean_at = time.monotonic() + CLEAN_EVERY_S
                    self.compute.purge()
                    forget_tracked_instances()
                self.save_services()  # what had to wait for its turn
            except Exception:
                log.exception("the groups could not be stepped; they are stepped again in %s s", TICK_S_MAX)
                due = self.clock.now() + TICK_S_MAX
            wait_s = TICK_S_MAX if due is None else max(0.0, min(TICK_S_MAX, due - self.clock.now()))
            self._news.wait(wait_s)
            self._news.clear()

    def _save(self) -> None:
        """Write down what has changed; the model's lock is held."""
        changed, self.world.changed = self.world.changed, set()
        self.reads.note(changed)
        if not self.state.durable:
            return
        kept = {key: self.world.record(key) for key in changed}
        written = {key: documents.write(group) if group else None for key, group in kept.items()}
        self._write(written)

    def _write(self, groups: Mapping[str, str | None]) -> None:
        self.late.note()
        self._keeping.write(groups)

    def _make_machines(self) -> Machines:
        if self.settings.machines == "virtual":
            return VirtualMachines(self.machine_changed)
        folder = self.directory / "machines"
        return ProcessMachines(
            self.settings.node_command, self._machine_environment, folder, self.state, self.machine_changed
        )

    def _machine_environment(self, instance_id: str, address: str) -> dict[str, str]:
        endpoint = self.settings.endpoint
        return {
            **self.settings.node_path,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{endpoint}{PREFIX}{instance_id}/",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": self.settings.region,
            "AWS_DEFAULT_REGION": self.settings.region,  # the one that boto3 reads
            "HEADRACE_NODE_ADDRESS": address,
        }


def earliest(*times: float | None) -> float | None:
    """The first of the times that there are."""
    return min((when for when in times if when is not None), default=None)


def new_id() -> str:
    """An id for activities, tokens and faults."""
    return str(uuid.uuid4())
