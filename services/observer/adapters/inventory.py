"""The inventory: what the Provisioner has declared, and the machines that AWS says there are."""

import asyncio
from collections.abc import Sequence

from services.observer.domain.evidence import FleetMembers, GroupFacts, Inventory, Member, PipelineFacts
from shared.aws.groups import AsgInventory
from shared.clients.provisioner import ProvisionerClient
from shared.contracts.objects import Autoscaling, HttpIngest, Transmit
from shared.contracts.provisioning import GroupModel, PipelineModel

_SETTLING = frozenset({"PENDING", "CREATING", "DELETING"})


class ProvisionerInventory:
    """One call a tick."""

    def __init__(self, client: ProvisionerClient) -> None:
        """The Provisioner's client."""
        self._client = client

    async def read(self) -> Inventory:
        """Groups and pipelines as declared."""
        groups, pipelines = await self._client.inventory()
        return Inventory(
            {g.spec.name: group_facts(g) for g in groups}, {p.spec.name: pipeline_facts(p) for p in pipelines}
        )


def group_facts(g: GroupModel) -> GroupFacts:
    """What judging a group needs."""
    scaling = g.spec.scaling
    by_revision = sorted(g.fleets, key=lambda f: f.revision)
    return GroupFacts(
        name=g.spec.name,
        generation=g.generation,
        kind=g.spec.kind,
        availability=g.spec.slo.availability,
        lag_p95_s=g.spec.slo.lag_p95_s,
        nodes_min=scaling.min_nodes if isinstance(scaling, Autoscaling) else scaling.desired_nodes,
        settling=g.phase in _SETTLING,
        topic_in=g.topic_in,
        consumer_group=g.consumer_group,
        serving=any(f.weight > 0 for f in g.fleets),
        new_fleets=tuple(f.fleet for f in by_revision[1:]),
    )


def pipeline_facts(p: PipelineModel) -> PipelineFacts:
    """What judging a pipeline needs."""
    return PipelineFacts(
        name=p.spec.name,
        generation=p.generation,
        stages={s.name: s.group for s in p.spec.stages},
        ingest=tuple(s.name for s in p.spec.stages if isinstance(s.work, HttpIngest)),
        transmit=tuple(s.name for s in p.spec.stages if isinstance(s.work, Transmit)),
        loss_max=p.spec.slo.loss,
        lag_p95_s=p.spec.slo.lag_p95_s,
        settling=p.phase in _SETTLING,
    )


class AwsMembers:
    """Auto Scaling Groups of a workspace; boto3 blocks, so it runs in a thread."""

    def __init__(self, workspace: str) -> None:
        """Reads every page, never one call per group."""
        self._workspace = workspace
        self._inventory = AsgInventory()

    async def read(self) -> Sequence[FleetMembers]:
        """All fleets with their machines."""
        states = await asyncio.to_thread(self._inventory.describe, self._workspace)
        return [
            FleetMembers(
                group=s.group,
                fleet=s.fleet,
                desired=s.desired,
                members=tuple(
                    Member(i.id, in_service=i.in_service, pending=i.pending, healthy=i.health == "Healthy")
                    for i in s.instances
                ),
            )
            for s in states
            if s.group
        ]
