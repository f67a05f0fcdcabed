"""moto in this process: the services other than Auto Scaling, one account and region of them, behind locks.

moto's objects are plain Python without locks of their own, and two sides use them here: requests through moto's own
WSGI application, and our machines, which take the objects directly (never by a request to ourselves). S3 has a lock of
its own, because moving 200 MB must not hold up the rest. Whoever changes something marks the service.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # hundreds of images that nobody asks for; read at import

import moto.backends
from moto.core.model_instances import model_data
from moto.ec2.models.amis import Ami
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.iam.access_control import PermissionResult
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import FakeBucket

ACCOUNT = "123456789012"
AMI = "ami-headrace"
DEFAULT_ZONES = 3  # that have a default subnet; the region may have more
GLOBAL_SERVICES = frozenset({"iam", "sts", "s3"})
SAVED_SERVICES = ("ec2", "iam", "sts", "ssm", "elb", "elbv2", "cloudwatch", "logs", "s3")
READ_ONLY_PREFIXES = ("Describe", "Get", "List", "Head", "Simulate", "Lookup")


def permitted(*_: object) -> PermissionResult:
    """What moto is told of every bucket: it would look at actions and resources only, whoever asks; `iam/access.py` has decided already."""
    return PermissionResult.PERMITTED


setattr(FakeBucket, "get_permission", permitted)  # noqa: B010  moto's own types do not let it be assigned
TAGS_NOW = property(LaunchTemplate.get_tags, lambda *_: None, doc="Moto shows those of the template's first day.")
setattr(LaunchTemplate, "tags", TAGS_NOW)  # noqa: B010  likewise
backends: Any = moto.backends.get_backend  # its two hundred overloads are of no use with names that are data


class MotoServices:
    """The services, their locks, and which of them have been changed since they were last saved."""

    def __init__(self, region: str) -> None:
        """Makes the default network and the default image."""
        self.region = region
        self.account = ACCOUNT
        self.lock = threading.RLock()
        self.s3_lock = threading.RLock()
        self.changes: Counter[str] = Counter()  # how often a service has been marked
        self._dirty: set[str] = set()
        self._dirty_lock = threading.Lock()
        self.application = DomainDispatcherApplication(create_backend_app)
        with self.lock:
            self.add_default_image()
            self._keep_default_zones()

    def backend(self, service: str) -> Any:
        """Moto's object of a service."""
        return backends(service)[self.account]["aws" if service in GLOBAL_SERVICES else self.region]

    def zones(self) -> list[str]:
        """The names of the region's availability zones."""
        return sorted(zone.name for zone in self.backend("ec2").describe_availability_zones())

    def lock_of(self, service: str) -> threading.RLock:
        """The lock that a request to the service needs."""
        return self.s3_lock if service == "s3" else self.lock

    def add_default_image(self) -> None:
        """The image that every embedded machine may name."""
        ec2 = self.backend("ec2")
        if AMI not in ec2.amis:
            ec2.amis[AMI] = Ami(
                ec2,
                AMI,
                name="headrace-node",
                description="A machine of the embedded stack",
                virtualization_type="hvm",
                architecture="x86_64",
                hypervisor="xen",
                root_device_type="ebs",
                root_device_name="/dev/xvda",
                public=True,
            )

    def _keep_default_zones(self) -> None:
        """Moto makes a default subnet in every zone of the region."""
        ec2 = self.backend("ec2")
        for _, subnet in sorted(ec2.get_default_subnets().items())[DEFAULT_ZONES:]:
            ec2.delete_subnet(subnet.id)

    def mark(self, services: Iterable[str]) -> None:
        """These services have been changed."""
        with self._dirty_lock:
            changed = {service for service in services if service in SAVED_SERVICES}
            self._dirty |= changed
            self.changes.update(changed)

    def take_dirty(self) -> tuple[str, ...]:
        """The services that have been changed since the last call."""
        with self._dirty_lock:
            taken = tuple(sorted(self._dirty))
            self._dirty.clear()
        return taken


def is_read(service: str, action: str, method: str) -> bool:
    """Whether a request can not have changed anything.

    >>> is_read("ec2", "DescribeInstances", "POST"), is_read("s3", "", "GET"), is_read("ssm", "PutParameter", "POST")
    (True, True, False)
    """
    if service == "s3":
        return method in {"GET", "HEAD", "OPTIONS"}
    return action.startswith(READ_ONLY_PREFIXES) or (not action and method == "GET")


def forget_tracked_instances() -> None:
    """Moto keeps a list of every object that it ever made, for its dashboard; a long-lived server must not."""
    for models in model_data.values():
        for model in models.values():
            tracked = getattr(model, "instances_tracked", None)
            if tracked:
                tracked.clear()


def ended_at(instance: Any) -> datetime:
    """When a terminated instance ended, as moto wrote it down in its reason."""
    text = str(instance.state_transition_reason or "")
    try:
        return datetime.strptime(text[text.index("(") + 1 : text.rindex(")")], "%Y-%m-%d %H:%M:%S UTC").replace(
            tzinfo=UTC
        )
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
