"""The inventory: our Auto Scaling Groups as AWS describes them, in pages, never one call per group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from shared.aws.clients import aws_client, aws_error

PAGE = 100
ADDRESSES_PAGE = 200
MANAGED = "headrace:managed"


@dataclass(frozen=True, slots=True)
class InstanceState:
    """A member; `lifecycle` as AWS spells it, e.g. InService."""

    id: str
    lifecycle: str
    health: str
    address: str
    zone: str
    protected: bool
    template_version: str = ""

    @property
    def in_service(self) -> bool:
        """In service and healthy."""
        return self.lifecycle == "InService" and self.health == "Healthy"

    @property
    def pending(self) -> bool:
        """On its way in."""
        return self.lifecycle.startswith("Pending")


@dataclass(frozen=True, slots=True)
class AsgState:
    """A fleet's group in AWS."""

    name: str
    workspace: str
    group: str
    fleet: str
    revision: int
    min: int
    max: int
    desired: int
    instances: tuple[InstanceState, ...]
    suspended: tuple[str, ...]
    tags: dict[str, str]

    @property
    def in_service(self) -> int:
        """Members in service."""
        return sum(i.in_service for i in self.instances)

    @property
    def pending(self) -> int:
        """Members on their way in."""
        return sum(i.pending for i in self.instances)


class AsgInventory:
    """Reads; blocking, so adapters call it in a thread. Addresses are cached: they never change for an instance."""

    def __init__(self) -> None:
        """Clients are made at the first call."""
        self._addresses: dict[str, str] = {}

    def describe(self, workspace: str | None = None) -> tuple[AsgState, ...]:
        """All managed groups (of a workspace), by name. Unavailable or Throttled when AWS does not answer."""
        filters = [{"Name": f"tag:{MANAGED}", "Values": ["true"]}]
        if workspace:
            filters.append({"Name": "tag:headrace:workspace", "Values": [workspace]})
        try:
            pages = aws_client("autoscaling").get_paginator("describe_auto_scaling_groups")
            raw = [
                g
                for page in pages.paginate(Filters=filters, PaginationConfig={"PageSize": PAGE})
                for g in page["AutoScalingGroups"]
            ]
            self._learn_addresses([i["InstanceId"] for g in raw for i in g.get("Instances", ())])
        except (BotoCoreError, ClientError) as e:
            raise aws_error(e, "DescribeAutoScalingGroups") from e
        return tuple(sorted((self._state(g) for g in raw), key=lambda s: s.name))

    def _learn_addresses(self, ids: Sequence[str]) -> None:
        live = set(ids)
        for gone in [i for i in self._addresses if i not in live]:
            del self._addresses[gone]
        unknown = sorted(live - self._addresses.keys())
        for start in range(0, len(unknown), ADDRESSES_PAGE):
            answer = aws_client("ec2").describe_instances(
                Filters=[{"Name": "instance-id", "Values": unknown[start : start + ADDRESSES_PAGE]}]
            )
            for reservation in answer["Reservations"]:
                for instance in reservation["Instances"]:
                    if instance.get("PrivateIpAddress"):
                        self._addresses[instance["InstanceId"]] = instance["PrivateIpAddress"]

    def _state(self, g: dict[str, Any]) -> AsgState:
        tags = {t["Key"]: t["Value"] for t in g.get("Tags", ())}
        revision = tags.get("headrace:revision", "")
        return AsgState(
            name=g["AutoScalingGroupName"],
            workspace=tags.get("headrace:workspace", ""),
            group=tags.get("headrace:group", ""),
            fleet=tags.get("headrace:fleet", ""),
            revision=int(revision) if revision.isdigit() else 0,
            min=g["MinSize"],
            max=g["MaxSize"],
            desired=g["DesiredCapacity"],
            instances=tuple(
                InstanceState(
                    id=i["InstanceId"],
                    lifecycle=i["LifecycleState"],
                    health=i["HealthStatus"],
                    address=self._addresses.get(i["InstanceId"], ""),
                    zone=i.get("AvailabilityZone", ""),
                    protected=i.get("ProtectedFromScaleIn", False),
                    template_version=i.get("LaunchTemplate", {}).get("Version", ""),
                )
                for i in sorted(g.get("Instances", ()), key=lambda x: x["InstanceId"])
            ),
            suspended=tuple(sorted(p["ProcessName"] for p in g.get("SuspendedProcesses", ()))),
            tags=tags,
        )
