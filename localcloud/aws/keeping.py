"""What is kept of a cloud in its state file: groups as documents, moto's services as snapshots, each as it changes."""

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from localcloud.aws import moto_snapshot
from localcloud.aws.autoscaling import documents
from localcloud.aws.autoscaling.world import World
from localcloud.aws.ec2_compute import Ec2Compute
from localcloud.aws.moto_services import MotoServices
from localcloud.aws.state_file import StateFile

log = logging.getLogger(__name__)
SNAPSHOT_SLOW_S = 0.1  # of computing; a slower one is not made at each change, but every so many times its duration
SNAPSHOT_SHARE = 5.0


class Keeping:
    """Order of locks: its own, then moto's, then the state file's. Without a durable file nothing is kept."""

    def __init__(self, services: MotoServices, state: StateFile, directory: Path) -> None:
        """Bodies of S3's objects lie in `directory`."""
        self._services, self._state = services, state
        self._saving = threading.Lock()  # or an older snapshot could be written over a newer one
        self._bodies = moto_snapshot.Bodies(directory / "objects") if state.durable else None
        self._slow_until: dict[str, float] = {}

    def write(self, groups: Mapping[str, str | None]) -> None:
        """These groups' documents (None: it is gone), and the services that have been changed."""
        if self._bodies is None:
            return
        with self._saving:
            made = self._snapshots(self._bodies)
            if groups or made:
                self._state.save(groups, made)
            if "s3" in made:
                self._bodies.drop_unused()

    def finish(self) -> None:
        """The next write is the last one: no snapshot waits its turn any more."""
        self._slow_until.clear()

    def load_services(self) -> None:
        """Put the services' snapshots in place."""
        if self._bodies is None:
            return
        for name, content in self._state.services().items():
            try:
                moto_snapshot.read(self._services, name, content)
            except moto_snapshot.SnapshotOfAnotherVersionError as error:
                log.warning("%s; its state is not taken over", error)
        self._services.add_default_image()

    def load_groups(self, world: World, compute: Ec2Compute) -> None:
        """Put the groups in place, without members that EC2 does not know."""
        for document in self._state.groups():
            group = documents.read(document)
            if group.deleted_at:
                world.deleted[group.arn] = group
                continue
            for member in list(group.members.values()):
                if compute.instance(member.id) is None:  # EC2's state was not taken over
                    del group.members[member.id]
                else:
                    world.owners[member.id] = group.name
            world.groups[group.name] = group

    def _snapshots(self, bodies: moto_snapshot.Bodies) -> dict[str, bytes]:
        """The changed services as bytes. A service whose snapshot is slow waits its turn, and stays marked."""
        made: dict[str, bytes] = {}
        for service in self._services.take_dirty():
            if time.monotonic() < self._slow_until.get(service, 0.0):
                self._services.mark([service])
                continue
            began = time.thread_time() - bodies.cpu_s
            with self._services.lock_of(service):
                made[service] = moto_snapshot.write(self._services, service, bodies)
            took_s = time.thread_time() - bodies.cpu_s - began
            if took_s > SNAPSHOT_SLOW_S:
                self._slow_until[service] = time.monotonic() + took_s * SNAPSHOT_SHARE
        return made
