"""Groups and their fleets: register, make, change, remove, wait for members. Each is idempotent."""

from collections.abc import Callable

from services.provisioner.domain.declared import declared_fields
from services.provisioner.domain.group import Bundle, Fleet, Group
from services.provisioner.domain.group_use import refuse_while_used
from services.provisioner.domain.names import asg_name, rehearsal_prefix, token_parameter
from services.provisioner.domain.resources import StackPlan
from services.provisioner.domain.runs import StackOutcome
from services.provisioner.domain.traffic import may_remove
from services.provisioner.operations.group_plans import GroupCloud, GroupPlans, GroupStores
from services.provisioner.operations.lease_guard import LeaseGuard
from services.provisioner.operations.routing import Routing
from services.provisioner.operations.stack_runs import StackRunner
from services.provisioner.operations.translation import group_intent, group_model, pushed_topics_of, stack_result
from shared.contracts.admission import LeaseModel
from shared.contracts.node import BundleManifest
from shared.contracts.provisioning import (
    AddFleetInput,
    GroupModel,
    GroupStackInput,
    MembersState,
    RegisterGroupInput,
    RemoveFleetInput,
    Revision,
    StackResult,
    WaitMembersInput,
)
from shared.domain.clock import Clock
from shared.domain.errors import Conflict, HeadraceError, InvalidInput, NotFound
from shared.domain.names import FleetId, GroupName, RevisionNumber, checked_new_group

MEMBERS_POLL_S = 0.5
MANIFESTS = "manifests"
COPIES_WITH_TOPICS = frozenset({"ingest", "stage"})


class Groups:
    """Server groups."""

    def __init__(  # noqa: PLR0913  what a group needs
        self,
        stores: GroupStores,
        cloud: GroupCloud,
        runner: StackRunner,
        routing: Routing,
        guard: LeaseGuard,
        plans: GroupPlans,
        clock: Clock,
    ) -> None:
        """One for the whole service."""
        self._stores = stores
        self._cloud = cloud
        self._runner = runner
        self._routing = routing
        self._guard = guard
        self._plans = plans
        self._clock = clock

    # ------------------------------------------------------------------------------------------------------ reading

    async def get(self, name: str) -> GroupModel:
        """One group."""
        return await self._model(await self._known(name))

    async def all(self) -> tuple[GroupModel, ...]:
        """Every declared group: nobody judges, scales or routes to the copy of one."""
        pipelines = {p.intent.name: p for p in await self._stores.pipelines.all()}
        return tuple(
            group_model(g, self._routing.inventory, pipelines.get(g.seat.pipeline) if g.seat else None)
            for g in await self._stores.groups.all()
            if not g.intent.copy_of
        )

    async def copies(self) -> frozenset[GroupName]:
        """Names of the copies that stand beside groups while those are rated."""
        return frozenset(g.name for g in await self._stores.groups.all() if g.intent.copy_of)

    # ------------------------------------------------------------------------------------------------------ writing

    async def register(self, request: RegisterGroupInput) -> GroupModel:
        """Keep the intent, and make the topic that it pushes to; a group's kind never changes."""
        intent = group_intent(request.spec, request.generation)
        known = await self._stores.groups.get(intent.name)
        if known is None:
            checked_new_group(intent.name)
        if known and known.intent.kind != intent.kind:
            raise InvalidInput(
                f"group {intent.name}: its kind is {known.intent.kind}, not {intent.kind}",
                field="kind",
                remedy="destroy it and make it anew, or declare a group of another name",
            )
        if known and known.intent.copy_of:
            raise Conflict(
                f"group {intent.name}: the name is taken by the copy on which group {known.intent.copy_of} is rated",
                field="name",
                remedy="wait until the rating has ended, or choose another name",
            )
        await self._cloud.topics.ensure(pushed_topics_of(request.spec))
        group = await self._stores.groups.register(intent)
        await self._routing.publish([group.name])
        return await self._model(group)

    async def apply(self, request: GroupStackInput) -> StackResult:
        """The stack as registered."""
        group = await self._known(request.group)
        return await self._up(group, request.lease, phase="UPDATING")

    async def add_fleet(self, request: AddFleetInput) -> StackResult:
        """One more fleet, at `desired_initial` machines and without traffic unless it is given a weight."""
        group = await self._known(request.group)
        await self._guard.admit(request.lease, group.scope)
        revision = request.revision
        if revision.group != group.name:
            raise InvalidInput(f"fleet {revision.fleet}: revision of group {revision.group}, not of {group.name}")
        site = await self._cloud.sites.site()
        parameter = token_parameter(site.stack, group.intent.workspace, FleetId(revision.fleet))
        await self._stores.groups.put_fleet(
            Fleet(
                id=FleetId(revision.fleet),
                group=group.name,
                revision=RevisionNumber(revision.number),
                revision_document=revision.model_dump_json(),
                node_type=group.intent.node_type,
                desired_initial=request.desired_initial,
                weight=request.weight,
                bundle=await self._manifest(revision),
                token_digest=await self._cloud.tokens.ensure(parameter),
            )
        )
        return await self._up(group, request.lease, phase="UPDATING" if group.fleets else "CREATING")

    async def remove_fleet(self, request: RemoveFleetInput) -> StackResult:
        """Without it; its machines leave. Refused while it is the last in traffic. One that is gone is done."""
        group = await self._stores.groups.get(GroupName(request.group))
        fleet = group.fleet(FleetId(request.fleet)) if group else None
        if group is None or fleet is None:
            return StackResult(group=request.group)
        await self._guard.admit(request.lease, group.scope)
        may_remove(group.name, fleet.id, {f.id: f.weight for f in group.standing})
        await self._stores.groups.mark_leaving(fleet.id)
        await self._routing.publish([group.name])
        result = await self._up(group, request.lease, phase="UPDATING")
        site = await self._cloud.sites.site()
        await self._cloud.tokens.remove(token_parameter(site.stack, group.intent.workspace, fleet.id))
        await self._stores.groups.drop_fleet(fleet.id)
        await self._routing.publish([group.name])
        return result.model_copy(update={"fleets": tuple(f for f in result.fleets if f.fleet != fleet.id)})

    async def remove(self, request: GroupStackInput) -> StackResult:
        """The whole group, and of a copy its topics; one that is gone is done. Refused while a stage runs on it."""
        group = await self._stores.groups.get(GroupName(request.group))
        if group is None:
            return StackResult(group=request.group)
        await self._guard.admit(request.lease, group.scope)
        refuse_while_used(group, await self._stores.pipelines.all())
        await self._stores.groups.set_phase(group.name, "DELETING", "")
        outcome = await self._run(group, "destroy", request.lease)
        site = await self._cloud.sites.site()
        for fleet in group.fleets:
            await self._cloud.tokens.remove(token_parameter(site.stack, group.intent.workspace, fleet.id))
        if group.intent.copy_of and group.intent.kind in COPIES_WITH_TOPICS:
            await self._cloud.topics.remove_below(rehearsal_prefix(group.name))
        await self._stores.groups.remove(group.name)
        await self._stores.stacks.forget(group.name)
        await self._routing.publish(None)
        return stack_result(Group(group.intent), outcome, None)

    async def wait_members(self, request: WaitMembersInput, beat: Callable[[MembersState], None]) -> MembersState:
        """Until a fleet has `count` members in service, or `timeout_s` is over; `beat` hears every look."""
        group = await self._known(request.group)
        asg = asg_name(group.intent.workspace, FleetId(request.fleet))
        ends_at = self._clock.monotonic() + request.timeout_s
        while True:
            live = await self._cloud.machines.fleet(asg)
            state = MembersState(
                fleet=request.fleet,
                desired=live.desired if live else 0,
                in_service=live.in_service if live else 0,
                pending=live.pending if live else 0,
                satisfied=live is not None and live.in_service >= request.count,
                detail="" if live else f"autoscaling group {asg} is not there",
            )
            beat(state)
            if state.satisfied:
                return state
            if self._clock.monotonic() >= ends_at:
                why = await self._cloud.machines.last_failure(asg) if live else state.detail
                text = f"{state.in_service} of {request.count} in service after {request.timeout_s:g} s"
                return state.model_copy(update={"detail": f"{text}: {why}" if why else text})
            await self._clock.sleep(MEMBERS_POLL_S)

    # ------------------------------------------------------------------------------------------------------- inside

    async def plan_of(self, name: GroupName) -> StackPlan:
        """What the stack of a group declares now."""
        return await self._plans.declared(await self._known(name))

    async def _known(self, name: str) -> Group:
        group = await self._stores.groups.get(GroupName(name))
        if group is None:
            raise NotFound(f"group {name}: there is none", remedy="`headrace get server-groups` lists them")
        return group

    async def _model(self, group: Group) -> GroupModel:
        pipeline = await self._stores.pipelines.get(group.seat.pipeline) if group.seat else None
        return group_model(group, self._routing.inventory, pipeline)

    async def _up(self, group: Group, lease: LeaseModel, *, phase: str, refresh: bool = False) -> StackResult:
        await self._stores.groups.set_phase(group.name, phase, "")
        try:
            outcome = await self._run(group, "up", lease, refresh=refresh)
        except HeadraceError as e:
            await self._stores.groups.set_phase(group.name, "ERROR", str(e))
            raise
        await self._stores.groups.set_phase(group.name, "READY", "")
        await self._routing.publish([group.name])
        return stack_result(await self._known(group.name), outcome, self._routing.inventory)

    async def _run(self, group: Group, operation: str, lease: LeaseModel, *, refresh: bool = False) -> StackOutcome:
        planned: list[StackPlan] = []

        async def make_plan() -> StackPlan:
            planned.append(await self.plan_of(group.name))
            return planned[-1]

        outcome = await self._runner.run(group, operation, lease, make_plan, refresh=refresh)
        if operation == "up":
            await self._stores.stacks.declare(group.name, declared_fields(planned[-1]))
        return outcome

    async def repair(self, group: GroupName, lease: LeaseModel) -> StackResult:
        """The stack as registered, after the engine looked at what is really there."""
        return await self._up(await self._known(group), lease, phase="UPDATING", refresh=True)

    async def _manifest(self, revision: Revision) -> Bundle | None:
        if revision.environment is None or revision.code is None:
            return None
        manifest = BundleManifest(environment=revision.environment, code=revision.code, variables=revision.variables)
        return await self._cloud.bundles.put_text(MANIFESTS, manifest.model_dump_json())
