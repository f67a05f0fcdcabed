"""The Provisioner's activities over the world of `tests.workflows.world`."""

from temporalio.exceptions import ApplicationError

from shared.contracts import dead_letters, provisioning, rating
from shared.contracts.activities import NamedEnvironment, NamedGroup, NamedPipeline, Nothing, SweepReport
from shared.contracts.objects import Environment
from tests.workflows.world_state import ENVIRONMENT, KNEE, FleetState, WorldState, code, members_coming


class ProvisionerSide(WorldState):
    """Groups, pipelines, environments, drift and copies."""

    async def provisioner_register_group(self, given: provisioning.RegisterGroupInput) -> provisioning.GroupModel:
        self.groups[given.spec.name] = given.spec
        return self.model(given.spec.name)

    async def provisioner_get_group(self, given: NamedGroup) -> provisioning.GroupModel:
        return self.model(given.group)

    async def provisioner_apply_group(self, given: provisioning.GroupStackInput) -> provisioning.StackResult:
        self._lease("apply_group", given.lease)
        return self._stack(given.group, unchanged=6)

    async def provisioner_remove_group(self, given: provisioning.GroupStackInput) -> provisioning.StackResult:
        self._lease("remove_group", given.lease)
        if given.group.startswith("rating-"):
            self.copy, self.copy_topics = None, frozenset()
            return self._stack(given.group)
        if given.group.startswith("called-by-rating-"):
            self.behind = None
            return self._stack(given.group)
        self.need = 0
        self.fleets.clear()
        return self._stack(given.group)

    async def provisioner_add_fleet(self, given: provisioning.AddFleetInput) -> provisioning.StackResult:
        self._lease("add_fleet", given.lease)
        fresh = FleetState(given.revision.number, given.desired_initial, 0, given.weight)
        self.fleets.setdefault(given.revision.fleet, fresh)
        self.revisions[given.revision.number] = given.revision
        return self._stack(given.group)

    async def provisioner_remove_fleet(self, given: provisioning.RemoveFleetInput) -> provisioning.StackResult:
        self._lease("remove_fleet", given.lease)
        if given.fleet in self.fleets and self.fleets[given.fleet].weight > 0:
            raise ApplicationError(f"{given.fleet} has traffic", type="Refused", non_retryable=True)
        self.fleets.pop(given.fleet, None)
        return self._stack(given.group)

    async def provisioner_wait_members(self, given: provisioning.WaitMembersInput) -> provisioning.MembersState:
        for copied in (self.copy, self.behind):
            if copied is not None and given.fleet == copied.fleet:
                here = copied.desired if self.nodes_come else 0
                return copied.model_copy(update={"satisfied": here >= given.count, "in_service": here})
        fleet = self.fleets[given.fleet]
        if self.nodes_come:
            fleet.in_service = fleet.desired
        return provisioning.MembersState(
            fleet=given.fleet,
            desired=fleet.desired,
            in_service=fleet.in_service,
            pending=fleet.desired - fleet.in_service,
            satisfied=fleet.in_service >= given.count,
            detail="" if self.nodes_come else "InsufficientInstanceCapacity",
        )

    async def provisioner_set_weights(self, given: provisioning.SetWeightsInput) -> Nothing:
        self._lease("set_weights", given.lease)
        for name, fleet in self.fleets.items():
            fleet.weight = given.weights.get(name, 0)
        return Nothing()

    async def provisioner_set_ramp(self, given: provisioning.SetRampInput) -> Nothing:
        self._lease("set_ramp", given.lease)
        if self.ramps[-1:] != [given.percent]:
            self.ramps.append(given.percent)
        return Nothing()

    async def provisioner_register_pipeline(self, given: provisioning.PipelineInput) -> provisioning.PipelineModel:
        self.pipelines[given.spec.name] = given.spec
        percent = self.ramps[-1] if self.ramps else 0
        return provisioning.PipelineModel(spec=given.spec, generation=given.generation, ramp_percent=percent)

    async def provisioner_get_pipeline(self, given: NamedPipeline) -> provisioning.PipelineModel:
        if given.pipeline not in self.pipelines:
            raise ApplicationError(f"pipeline {given.pipeline}: there is none", type="NotFound", non_retryable=True)
        percent = self.ramps[-1] if self.ramps else 0
        return provisioning.PipelineModel(spec=self.pipelines[given.pipeline], generation=1, ramp_percent=percent)

    async def provisioner_remove_pipeline(self, given: NamedPipeline) -> Nothing:
        self.pipelines.pop(given.pipeline, None)
        return Nothing()

    async def provisioner_build_environment(
        self, given: provisioning.BuildEnvironmentInput
    ) -> provisioning.EnvironmentModel:
        return provisioning.EnvironmentModel(spec=given.spec, phase="READY", digest="d1", artifact=ENVIRONMENT)

    async def provisioner_get_environment(self, given: NamedEnvironment) -> provisioning.EnvironmentModel:
        spec = Environment(name=given.environment, requirements="headrace-runtime\n")
        return provisioning.EnvironmentModel(spec=spec, phase="READY", artifact=ENVIRONMENT)

    async def provisioner_remove_environment(self, _: NamedEnvironment) -> Nothing:
        return Nothing()

    async def provisioner_redrive_dead_letters(self, given: dead_letters.RedriveInput) -> dead_letters.RedriveReport:
        self.redriven = self.redriven or len(given.request.offsets)
        return dead_letters.RedriveReport(redriven=self.redriven)

    async def provisioner_check_drift(self, _: Nothing) -> provisioning.DriftReport:
        return provisioning.DriftReport(checked=4, findings=tuple(self.findings))

    async def provisioner_repair_drift(self, given: provisioning.RepairDriftInput) -> provisioning.StackResult:
        self._lease("repair_drift", given.lease)
        self.findings = [f for f in self.findings if f.id not in given.finding_ids]
        return self._stack(given.group, updated=1)

    async def provisioner_add_copy(self, given: rating.AddCopyInput) -> rating.CopyModel:
        self._lease("add_copy", given.lease)
        copied = f"rating-{given.group}"
        self.copy_topics = frozenset({f"headrace-rating.{copied}.in"})
        self.copy = members_coming(f"{copied}-r1", 1)
        called = None
        if self.called_nodes:
            name = f"called-by-{copied}"
            self.behind = members_coming(f"{name}-r4", self.called_nodes)
            called = rating.CalledModel(
                group="risk", copy_group=name, fleet=self.behind.fleet, revision=4, nodes=self.called_nodes
            )
        return rating.CopyModel(
            copy_group=copied,
            fleet=self.copy.fleet,
            revision=1,
            node_type="m6a.large",
            promise=rating.RatingPromise(latency_p95_s=1.0, errors_max=0.001),
            call=rating.RatingCall(batch=50, step_s=given.loading.step_s, first=given.loading.first),
            sample=code("sample"),
            way=rating.RatingWay(type="topic", topic=f"headrace-rating.{copied}.in"),
            called=called,
        )

    async def provisioner_drive_step(self, given: rating.DriveInput) -> rating.DriveAnswer:
        """A node that sustains 300: each step doubles, the fourth says so."""
        if self.copy is None or given.copied.way.topic not in self.copy_topics:
            self.problems.append("load was driven without a copy")
        wanted = given.copied.call.first * 2 ** len(given.steps)
        if wanted > 2 * KNEE:
            return rating.DriveAnswer(found=rating.RatingFound(rate=KNEE, low=KNEE - 20, high=KNEE + 20))
        held = wanted <= KNEE
        step = rating.RatingStep(
            wanted=wanted, offered=wanted, answered=min(wanted, KNEE), latency_p95_s=0.1, errors=0.0, held=held
        )
        return rating.DriveAnswer(step=step)

    async def provisioner_sweep(self, _: Nothing) -> SweepReport:
        left = [c.fleet.partition("rating-")[2].rpartition("-r")[0] for c in (self.copy, self.behind) if c]
        copies = tuple(dict.fromkeys(left))
        return SweepReport(notes=("nothing to sweep",), copies=copies)
