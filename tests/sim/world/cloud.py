"""The account that rollouts work in: fleets in the model of Auto Scaling, everything else as fields, and who reads it."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localcloud.aws.autoscaling.virtual_compute import SUBNETS
from localcloud.aws.errors import AwsError
from services.provisioner.adapters.pulumi_live import own_tags
from services.provisioner.domain.declared import ASG, TEMPLATE, DeclaredFields
from services.provisioner.domain.group import Bundle, FleetState, Inventory, Machine
from services.provisioner.domain.group_stack import Site
from services.provisioner.domain.ports import LiveFields
from services.provisioner.domain.resources import AutoScalingGroup
from services.provisioner.domain.warnings import NodePrice
from shared.aws.groups import AsgState
from shared.domain.errors import NotFound
from shared.domain.names import FleetId, GroupName, Workspace
from tests.sim.kernel.clock import SimClock
from tests.sim.world.fate import Fate
from tests.sim.world.fleets import Fleets

STACK = "dev"
SITE = Site(STACK, "vpc-1", tuple(sorted(SUBNETS)), "ami-1", "bundles", ("10.0.0.0/8",))
NOT_COMPARED = frozenset({"DesiredCapacity"})  # the Autoscaler's


class Cloud:
    """`resources` has what is no fleet, by name, with its fields as AWS spells them."""

    def __init__(self, fleets: Fleets) -> None:
        self.fleets = fleets
        self.resources: dict[str, dict[str, str]] = {}

    def put(self, resource: str, fields: Mapping[str, str]) -> None:
        """Make it, or make it so."""
        self.resources[resource] = dict(fields)
        if resource.startswith(TEMPLATE):
            self.fleets.compute.templates.setdefault(resource.removeprefix(f"{TEMPLATE} "), 1)

    def put_fleet(self, fleet: AutoScalingGroup) -> None:
        """Make it with its first size, or change everything but its size."""
        shape = {
            "AutoScalingGroupName": fleet.name,
            "MinSize": fleet.nodes_min,
            "MaxSize": fleet.nodes_max,
            "LaunchTemplate": {"LaunchTemplateName": fleet.template.name, "Version": "$Latest"},
            "VPCZoneIdentifier": ",".join(fleet.subnets),
        }
        tags = [{"Key": k, "Value": v, "PropagateAtLaunch": True} for k, v in fleet.tags]
        if fleet.name in self.fleets.world.groups:
            self.fleets.call("UpdateAutoScalingGroup", **shape)
            own = [{**t, "ResourceId": fleet.name, "ResourceType": "auto-scaling-group"} for t in tags]
            self.fleets.call("CreateOrUpdateTags", Tags=own)
        else:
            self.fleets.call("CreateAutoScalingGroup", **shape, DesiredCapacity=fleet.desired_initial, Tags=tags)
        self.fleets.call("SuspendProcesses", AutoScalingGroupName=fleet.name, ScalingProcesses=list(fleet.suspended))

    def remove_fleet(self, name: str) -> None:
        """Its machines leave, then it does; one that is gone is gone."""
        if name in self.fleets.world.groups:
            self.fleets.call("DeleteAutoScalingGroup", AutoScalingGroupName=name, ForceDelete=True)

    def live(self, declared: DeclaredFields) -> LiveFields:
        """What is really there of declared resources; None for what is gone."""
        answer = self.fleets.call("DescribeAutoScalingGroups")
        groups = {f"{ASG} {g['AutoScalingGroupName']}": _shape(g) for g in answer["AutoScalingGroups"]}
        return {r: groups.get(r) if r.startswith(ASG) else self.resources.get(r) for r in declared}

    def states(self) -> tuple[AsgState, ...]:
        """Fleets as they are."""
        return tuple(s for s in self.fleets.states() if s.group)

    def seen(self) -> tuple[AsgState, ...]:
        """Fleets as AWS describes them, now and then late."""
        return tuple(s for s in self.fleets.seen() if s.group)


def _shape(g: Mapping[str, Any]) -> Mapping[str, str]:
    return {
        "MinSize": str(g["MinSize"]),
        "MaxSize": str(g["MaxSize"]),
        "DesiredCapacity": str(g["DesiredCapacity"]),
        "VPCZoneIdentifier": ",".join(sorted(g["VPCZoneIdentifier"].split(","))),
        "SuspendedProcesses": ",".join(sorted(p["ProcessName"] for p in g.get("SuspendedProcesses", ()))),
        "Tags": own_tags({t["Key"]: t["Value"] for t in g.get("Tags", ())}),
        "LaunchTemplate.Name": g["LaunchTemplate"]["LaunchTemplateName"],
    }


class SimMachines:
    """The Provisioner's `Machines`: AWS, reading, each call with its fate."""

    def __init__(self, cloud: Cloud, fate: Fate, clock: SimClock) -> None:
        self._cloud, self._fate, self._clock = cloud, fate, clock

    async def inventory(self) -> Inventory:
        """See the port."""
        at = self._clock.now()
        return Inventory(at, tuple(_fleet(s) for s in await self._read()))

    async def fleet(self, asg: str) -> FleetState | None:
        """See the port."""
        return next((_fleet(s) for s in await self._read() if s.name == asg), None)

    async def fleet_of(self, machine: str) -> FleetId | None:
        """See the port."""
        found = (s for s in await self._read() for i in s.instances if i.id == machine and (i.pending or i.in_service))
        return next((FleetId(s.fleet) for s in found), None)

    async def last_failure(self, asg: str) -> str:
        """See the port."""
        await self._fate.before()
        try:
            answer = self._cloud.fleets.call("DescribeScalingActivities", AutoScalingGroupName=asg, MaxRecords=1)
        except AwsError:
            return ""
        newest = next(iter(answer["Activities"]), None)
        return str(newest.get("StatusMessage", "")) if newest and newest["StatusCode"] == "Failed" else ""

    async def shapes(self, declared: Mapping[GroupName, DeclaredFields]) -> Mapping[GroupName, LiveFields]:
        """See the port."""
        await self._fate.before()
        return {group: self._cloud.live(fields) for group, fields in declared.items()}

    async def _read(self) -> tuple[AsgState, ...]:
        await self._fate.before()
        return self._cloud.seen()


def _fleet(state: AsgState) -> FleetState:
    fleet = FleetId(state.fleet)
    machines = tuple(Machine(i.id, fleet, i.id, i.in_service, i.pending, i.zone) for i in state.instances)
    return FleetState(state.name, fleet, GroupName(state.group), state.min, state.max, state.desired, machines)


class SimSites:
    """`Sites`: one network."""

    async def site(self) -> Site:
        """See the port."""
        return SITE


class SimBundles:
    """`Bundles`: what is there never changes."""

    def __init__(self) -> None:
        self._kept: dict[str, Bundle] = {}
        self._texts: dict[str, bytes] = {}

    async def find(self, key: str) -> Bundle | None:
        """See the port."""
        return self._kept.get(key)

    async def read(self, url: str, bytes_max: int) -> bytes:
        """See the port; texts alone have contents."""
        if url not in self._texts:
            raise NotFound(f"{url}: there is no such object")
        return self._texts[url][:bytes_max]

    async def put_text(self, folder: str, text: str) -> Bundle:
        """See the port."""
        digest = _digest(text)
        kept = self._keep(f"{folder}/{digest}", digest)
        self._texts[kept.url] = text.encode()
        return kept

    async def put_file(self, key: str, path: Path) -> Bundle:
        """See the port; the file is what its name says."""
        return self._keep(key, _digest(str(path)))

    def _keep(self, key: str, digest: str) -> Bundle:
        return self._kept.setdefault(key, Bundle(f"s3://bundles/{key}", digest))


class NoPrices:
    """`Prices`: the list has nothing."""

    async def of(self, node_type: str) -> NodePrice | None:
        """See the port."""
        return None


class SimTokens:
    """`JoinTokens`."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def ensure(self, parameter: str) -> str:
        """See the port."""
        return _digest(self.kept.setdefault(parameter, f"token of {parameter}"))

    async def remove(self, parameter: str) -> None:
        """See the port."""
        self.kept.pop(parameter, None)


class SimMirror:
    """`RouteMirror`: what clients balance over; it may be lost, and is written again."""

    def __init__(self) -> None:
        self.documents: dict[GroupName, str] = {}

    async def restore(self, workspace: Workspace, documents: Mapping[GroupName, str]) -> tuple[GroupName, ...]:
        """See the port; a newer generation is never replaced by an older one."""
        written = []
        for name in sorted(documents):
            kept = json.loads(self.documents[name])["generation"] if name in self.documents else -1
            if kept < json.loads(documents[name])["generation"]:
                self.documents[name] = documents[name]
                written.append(name)
        return tuple(written)


class SimAuthority:
    """`Authority`: keys are texts, and a certificate is what it says."""

    certificate_pem = "certificate of the authority"

    def key_digest(self, csr_pem: str) -> str:
        """See the port."""
        return _digest(csr_pem)

    def sign(self, csr_pem: str, uri: str, address: str, now: datetime) -> str:
        """See the port."""
        return f"{uri} {address} {_digest(csr_pem)} {now.astimezone(UTC).isoformat()}"


class SimBuilds:
    """`EnvironmentBuilds`: what is asked for is what is locked."""

    python = "3.11"

    async def lock(self, name: str, requirements: str) -> str:
        """See the port."""
        return "".join(f"{r}==1.0\n" for r in requirements.split())

    async def build(self, name: str, locked: str) -> Path:
        """See the port."""
        return Path(f"/sim/{name}-{_digest(locked)}.tar.gz")

    async def discard(self, path: Path) -> None:
        """See the port: nothing was written."""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
