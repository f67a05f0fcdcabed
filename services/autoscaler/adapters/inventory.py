"""Groups as the Provisioner knows them, joined with their fleets as AWS has them."""

import asyncio
from collections.abc import Sequence

from services.autoscaler.domain.group import FleetState, GroupSnapshot
from services.autoscaler.domain.policy import MetricAim, Policy, cores_of
from services.autoscaler.domain.signals import Signals
from shared.aws.groups import AsgInventory, AsgState
from shared.clients.provisioner import ProvisionerClient
from shared.contracts.objects import Autoscaling, CpuTarget, LagTarget, MetricTarget, ProvisionedScaling, Scaling
from shared.contracts.provisioning import GroupModel
from shared.domain.names import FleetId, GroupName

CHANGING = frozenset({"PENDING", "CREATING", "UPDATING", "DELETING", "ERROR"})
LEFT_ALONE = frozenset({"DELETING"})


class JoinedInventory:
    """Implements `ports.Inventory`."""

    def __init__(self, provisioner: ProvisionerClient, asgs: AsgInventory, workspace: str) -> None:
        """One workspace a process."""
        self._provisioner, self._asgs, self._workspace = provisioner, asgs, workspace
        self._one_at_a_time = asyncio.Lock()  # the inventory keeps a cache that is not made for several threads

    async def groups(self) -> tuple[GroupSnapshot, ...]:
        """See `ports.Inventory`; groups that are being deleted are left alone."""
        models, _ = await self._provisioner.inventory()
        states = await self._states()
        return tuple(snapshot_of(m, states) for m in models if m.phase not in LEFT_ALONE)

    async def group(self, name: GroupName) -> GroupSnapshot:
        """See `ports.Inventory`."""
        model = await self._provisioner.group(name)
        return snapshot_of(model, await self._states())

    async def _states(self) -> tuple[AsgState, ...]:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._asgs.describe, self._workspace)


def snapshot_of(model: GroupModel, states: Sequence[AsgState]) -> GroupSnapshot:
    """The join; AWS is the authority on sizes, the Provisioner on weights."""
    weights = {f.fleet: f.weight for f in model.fleets}
    stream = bool(model.topic_in)
    return GroupSnapshot(
        group=GroupName(model.spec.name),
        policy=policy_of(model.spec.scaling),
        fleets=tuple(fleet_of(s, weights.get(s.fleet, 0)) for s in states if s.group == model.spec.name),
        signals=Signals(),
        stream=stream,
        partitions=model.partitions if stream else 0,
        cores=cores_of(model.spec.node_type),
        changing=model.phase in CHANGING,
        node_type=model.spec.node_type,
    )


def fleet_of(state: AsgState, weight: int) -> FleetState:
    """A fleet as AWS has it."""
    return FleetState(
        fleet=FleetId(state.fleet),
        revision=state.revision,
        desired=state.desired,
        in_service=state.in_service,
        weight=weight,
        nodes_min=state.min,
        nodes_max=state.max,
        asg=state.name,
        suspended=frozenset(state.suspended),
    )


def policy_of(scaling: Scaling) -> Policy:
    """What the group asks for; of several targets of a kind the strictest counts."""
    match scaling:
        case ProvisionedScaling():
            return Policy(scaling.desired_nodes, scaling.desired_nodes, fixed_nodes=scaling.desired_nodes)
        case Autoscaling():
            cpu = [t.percent for t in scaling.targets if isinstance(t, CpuTarget)]
            lag = [t.seconds for t in scaling.targets if isinstance(t, LagTarget)]
            return Policy(
                nodes_min=scaling.min_nodes,
                nodes_max=scaling.max_nodes,
                utilization=scaling.utilization,
                node_rate=scaling.node_rate,
                scale_in_after_s=scaling.scale_in_after_s,
                cpu_percent=min(cpu, default=None),
                lag_s=min(lag, default=None),
                metrics=tuple(MetricAim(t.metric, t.value) for t in scaling.targets if isinstance(t, MetricTarget)),
            )
