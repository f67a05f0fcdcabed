"""What a group's stack declares, and what a change of its intent would do and cost. Nothing is changed here."""

from dataclasses import dataclass

from services.provisioner.domain.declared import changes_between, declared_fields
from services.provisioner.domain.group import Fleet, Group, GroupIntent
from services.provisioner.domain.group_stack import Site, plan_stack
from services.provisioner.domain.names import token_parameter
from services.provisioner.domain.ports import Bundles, JoinTokens, Machines, Prices, Sites, Topics
from services.provisioner.domain.resources import StackPlan
from services.provisioner.domain.stores import GroupStore, PipelineStore, StackStore
from services.provisioner.domain.warnings import NodePrice, cost_warning, quota_warnings
from services.provisioner.operations.translation import group_intent
from shared.contracts.node import Control, UserData
from shared.contracts.objects import ServerGroup
from shared.contracts.provisioning import Artifact, Revision
from shared.domain.errors import HeadraceError
from shared.domain.names import FleetId, GroupName, RevisionNumber


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Where a machine finds us: `host:port` pairs, and our authority's certificate."""

    observer: str
    routes: str
    join: str
    ca_pem: str
    server_name: str


@dataclass(frozen=True, slots=True)
class GroupStores:
    """What is kept about groups."""

    groups: GroupStore
    pipelines: PipelineStore
    stacks: StackStore


@dataclass(frozen=True, slots=True)
class GroupCloud:
    """What groups need from AWS, and from the broker."""

    machines: Machines
    sites: Sites
    bundles: Bundles
    tokens: JoinTokens
    prices: Prices
    topics: Topics


class GroupPlans:
    """Plans of groups."""

    def __init__(self, stores: GroupStores, cloud: GroupCloud, control: ControlPlane) -> None:
        """One for the whole service."""
        self._stores = stores
        self._cloud = cloud
        self._control = control

    async def declared(self, group: Group) -> StackPlan:
        """What the stack of a group declares, with what its machines are told at birth."""
        site = await self._cloud.sites.site()
        return plan_stack(group, site, {f.id: self._user_data(group, f, site) for f in group.standing})

    def _user_data(self, group: Group, fleet: Fleet, site: Site) -> str:
        bundle = fleet.bundle
        return UserData(
            workspace=group.intent.workspace,
            group=group.name,
            fleet=fleet.id,
            revision=fleet.revision,
            bundle=Artifact(url=bundle.url, sha256=bundle.sha256, size=bundle.size) if bundle else None,
            control=Control(
                observer=self._control.observer,
                routes=self._control.routes,
                join=self._control.join,
                ca_pem=self._control.ca_pem,
                server_name=self._control.server_name,
                join_token_ref=token_parameter(site.stack, group.intent.workspace, fleet.id),
            ),
        ).model_dump_json()

    async def preview(self, spec: ServerGroup) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Changes and warnings, one line each, without doing anything."""
        known = await self._stores.groups.get(GroupName(spec.name))
        intent = group_intent(spec, known.intent.generation + 1 if known else 1)
        wanted = Group(intent, seat=known.seat if known else None, fleets=known.fleets if known else ())
        if not wanted.standing:
            first = Revision(group=intent.name, number=1)
            fleet = Fleet(
                id=FleetId(first.fleet),
                group=intent.name,
                revision=RevisionNumber(1),
                revision_document=first.model_dump_json(),
                node_type=intent.node_type,
                desired_initial=intent.nodes_min,
            )
            wanted = Group(intent, seat=wanted.seat, fleets=(fleet,))
        declared = await self._stores.stacks.declared()
        changes = list(changes_between(declared.get(intent.name, {}), declared_fields(await self.declared(wanted))))
        changes += [
            f"node type {f.node_type} -> {intent.node_type}: from the next revision on"
            for f in wanted.standing
            if f.node_type != intent.node_type
        ]
        asgs = sum(len(g.fleets) for g in await self._stores.groups.all()) + (0 if known and known.fleets else 1)
        price, cost = await self._cost(intent)
        return tuple(changes), (*quota_warnings(asgs, intent.node_type, intent.nodes_max, price), cost)

    async def _cost(self, intent: GroupIntent) -> tuple[NodePrice | None, str]:
        """What a machine costs and what all of them do; a plan does not fail for want of a price, but says so."""
        try:
            price = await self._cloud.prices.of(intent.node_type)
        except HeadraceError as e:
            return None, f"what it costs is not known now: {e}"
        if price is None:
            return None, f"what it costs is not known: AWS's price list has no {intent.node_type} in this region"
        return price, cost_warning(intent.node_type, intent.nodes_min, intent.nodes_max, price)
