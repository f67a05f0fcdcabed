"""The resources of one group's stack, as frozen data: what Pulumi makes, a plan prints and drift compares.

One stack per server group: small (six resources and two per fleet), locked, refreshed and repaired by itself.
"""

from dataclasses import dataclass

from shared.domain.names import FleetId, GroupName, Workspace


@dataclass(frozen=True, slots=True)
class PortRule:
    """Traffic that a security group lets through."""

    port_from: int
    port_to: int
    cidrs: tuple[str, ...]
    protocol: str = "tcp"
    description: str = ""

    def __str__(self) -> str:
        """`tcp 7400-7401 from/to 10.0.0.0/8`."""
        ports = f"{self.port_from}-{self.port_to}" if self.port_from != self.port_to else str(self.port_from)
        return f"{self.protocol} {ports} {','.join(sorted(self.cidrs))}"


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """Without a declared egress rule nothing leaves: the allow-all rule that AWS adds is taken away."""

    name: str
    vpc: str
    ingress: tuple[PortRule, ...]
    egress: tuple[PortRule, ...]
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Role:
    """Who the machines are in AWS; policies are JSON documents."""

    name: str
    trust: str
    policy: str
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class LaunchTemplate:
    """What a machine is made of; `user_data` is JSON text of pointers."""

    name: str
    image: str
    node_type: str
    user_data: str
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AutoScalingGroup:
    """A fleet. `desired_initial` is used when it is made and ignored ever after: the Autoscaler writes that field."""

    name: str
    fleet: FleetId
    template: LaunchTemplate
    nodes_min: int
    nodes_max: int
    desired_initial: int
    subnets: tuple[str, ...]
    tags: tuple[tuple[str, str], ...]
    launch_timeout_s: int
    drain_timeout_s: int
    warmup_s: int
    suspended: tuple[str, ...] = ("AZRebalance",)


@dataclass(frozen=True, slots=True)
class StackPlan:
    """Everything one group's stack declares."""

    stack: str
    workspace: Workspace
    group: GroupName
    security_group: SecurityGroup
    role: Role
    fleets: tuple[AutoScalingGroup, ...]
    tags: tuple[tuple[str, str], ...]
