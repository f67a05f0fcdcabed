"""ProvisionGroup: create a server group with its first revision and fleet, or bring an existing one to its new intent.

A group exists in the Provisioner's sense once it has a fleet. Creating undoes in reverse what it had begun: the stack
goes again. An update leaves the running fleets as they are; new code reaches machines by a deployment.
"""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from shared.contracts.activities import NamedEnvironment
from shared.contracts.objects import ProvisionedScaling, ServerGroup
from shared.contracts.progress import Progress
from shared.contracts.provisioning import (
    AddFleetInput,
    Artifact,
    GroupModel,
    GroupStackInput,
    OperationResult,
    ProvisionGroupInput,
    RegisterGroupInput,
    RemoveFleetInput,
    Revision,
    SetWeightsInput,
    WaitMembersInput,
)
from shared.domain.activity import ActivityKind
from workflows import stubs
from workflows.admitted import Admitted, begin_input, failed, text_of
from workflows.board import Board
from workflows.undo import UNDOABLE

ADMISSION_WAIT_S_MAX = 1800.0
MEMBERS_WAIT_S_MAX = 900.0
WEIGHT_ALL = 100
STEPS_CREATE = 5


def first_size(spec: ServerGroup) -> int:
    """Nodes a new group starts with."""
    scaling = spec.scaling
    return scaling.desired_nodes if isinstance(scaling, ProvisionedScaling) else scaling.min_nodes


@workflow.defn(name="ProvisionGroup")
class ProvisionGroup:
    """One run brings one group to one generation."""

    @workflow.init
    def __init__(self, wanted: ProvisionGroupInput) -> None:
        self._wanted = wanted
        self._name = wanted.spec.name
        self._board = Board(f"server-group/{wanted.spec.name}")

    @workflow.query
    def progress(self) -> Progress:
        """Where it stands."""
        return self._board.shown

    @workflow.run
    async def run(self, wanted: ProvisionGroupInput) -> OperationResult:
        """Done, refused, failed or cancelled; what had begun is undone."""
        self._board.say("running", f"registering {self._name}, generation {wanted.generation}")
        try:
            group = await stubs.register_group(RegisterGroupInput(spec=wanted.spec, generation=wanted.generation))
            # What a run before this one left half made serves nobody, and is made to the end.
            creates = not any(fleet.weight > 0 for fleet in group.fleets)
            environment = await self._environment() if creates else None
        except UNDOABLE as failure:
            self._board.say("ended", text_of(failure))
            return failed(failure, [])
        request = begin_input(
            ActivityKind.PROVISION,
            f"group/{self._name}",
            wanted.request_id,
            reason="create" if creates else f"update to generation {wanted.generation}",
            creates=creates,
        )
        admitted = Admitted(None if wanted.lease else request, self._board, lease=wanted.lease)
        return await admitted.run(
            lambda: self._create(admitted, group, environment) if creates else self._update(admitted, group),
            wait_s_max=ADMISSION_WAIT_S_MAX,
        )

    async def _environment(self) -> Artifact | None:
        name = self._wanted.spec.environment
        if name is None:
            return None
        made = await stubs.get_environment(NamedEnvironment(environment=name))
        if made.artifact is None:
            text = f"environment {name} is {made.phase}, not READY: {made.detail or 'build it first'}"
            raise ApplicationError(text, type="Refused", non_retryable=True)
        return made.artifact

    async def _create(self, admitted: Admitted, group: GroupModel, environment: Artifact | None) -> OperationResult:
        spec, name, nodes = self._wanted.spec, self._name, first_size(self._wanted.spec)
        self._board.steps = STEPS_CREATE
        self._board.say("running", f"making revision 1 of {name}", step=1)
        revision = await stubs.first_revision(
            Revision(group=name, number=1, environment=environment, code=self._wanted.code, variables=spec.variables)
        )
        fleet = revision.fleet
        admitted.undo.push(
            "remove the stack", lambda: stubs.remove_group(GroupStackInput(group=name, lease=admitted.lease))
        )
        self._board.say("running", f"making fleet {fleet} with {nodes} nodes", step=2)
        await stubs.add_fleet(
            AddFleetInput(group=name, revision=revision, desired_initial=nodes, weight=0, lease=admitted.lease)
        )
        self._board.say("running", f"waiting for {nodes} nodes of {fleet}", step=3)
        members = await stubs.wait_members(
            WaitMembersInput(group=name, fleet=fleet, count=nodes, timeout_s=MEMBERS_WAIT_S_MAX),
            wait_s=MEMBERS_WAIT_S_MAX,
        )
        if not members.satisfied:
            text = (
                f"fleet {fleet}: {members.in_service} of {nodes} nodes entered service within "
                f"{MEMBERS_WAIT_S_MAX:.0f} s: {members.detail or 'no failure was named'}"
            )
            raise ApplicationError(text, type="CapacityUnavailable", non_retryable=True)
        self._board.say("running", f"traffic to {fleet}", step=4)
        await stubs.set_weights(SetWeightsInput(group=name, weights={fleet: WEIGHT_ALL}, lease=admitted.lease))
        for left in [f.fleet for f in group.fleets if f.fleet != fleet]:  # a run before this one made it half
            await stubs.remove_fleet(RemoveFleetInput(group=name, fleet=left, lease=admitted.lease))
        return OperationResult(
            outcome="done",
            text=f"{name} serves with {members.in_service} nodes of {fleet}",
            details={"fleet": fleet, "nodes": str(members.in_service)},
        )

    async def _update(self, admitted: Admitted, group: GroupModel) -> OperationResult:
        self._board.steps = 1
        await admitted.before_step()
        self._board.say("running", f"applying generation {self._wanted.generation} of {self._name}", step=1)
        made = await stubs.apply_group(GroupStackInput(group=self._name, lease=admitted.lease))
        text = (
            f"{self._name}: {made.created} created, {made.updated} updated, {made.deleted} deleted, "
            f"{made.unchanged} unchanged in {made.seconds:.1f} s"
        )
        return OperationResult(outcome="done", text=text, details={"fleets": ",".join(f.fleet for f in group.fleets)})
