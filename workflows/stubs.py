"""Typed stubs of every Temporal activity of `shared.contracts.activities`: workflows call these and nothing else.

A stub knows its name, input and output; queue and limits come from the tables. A cancelled workflow waits until the
running activity has ended (so that no undo races the do), and then really is cancelled: Temporal hands back the result
of an activity that ended well meanwhile and would forget the cancel.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from pydantic import BaseModel
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

from shared.contracts import admission, dead_letters, deployment, provisioning, rating, scaling
from shared.contracts.activities import (
    ACTIVITIES,
    NamedEnvironment,
    NamedGroup,
    NamedPipeline,
    Nothing,
    ScopeInput,
    SweepReport,
)
from workflows.policies import POLICIES

Given = TypeVar("Given", bound=BaseModel)
Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Stub(Generic[Given, Answer]):
    """One activity; calling it runs it."""

    name: str
    input: type[Given]
    output: type[Answer]

    async def __call__(self, given: Given, *, wait_s: float = 0.0) -> Answer:
        """Run it to its end; `wait_s` is added to its limits. FailureError when it failed for good."""
        policy = POLICIES[self.name]
        try:
            answer: Answer = await workflow.execute_activity(
                self.name,
                given,
                result_type=self.output,
                task_queue=ACTIVITIES[self.name].queue,
                start_to_close_timeout=timedelta(seconds=policy.attempt_s + wait_s),
                schedule_to_close_timeout=timedelta(seconds=policy.total_s + wait_s),
                heartbeat_timeout=None if policy.heartbeat_s is None else timedelta(seconds=policy.heartbeat_s),
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(seconds=policy.retry_first_s),
                    maximum_interval=timedelta(seconds=policy.retry_max_s),
                    maximum_attempts=policy.attempts,
                ),
                cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )
        except ActivityError as e:
            if cancel_is_pending() and is_cancelled_exception(e):  # the activity heard of the cancel before we did
                raise asyncio.CancelledError from e
            raise
        if cancel_is_pending():
            raise asyncio.CancelledError
        return answer


def cancel_is_pending() -> bool:
    """Whether this task was asked to cancel, also if the request was swallowed by what it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


begin = Stub("observer.begin", admission.BeginInput, admission.BeginAnswer)
heartbeat = Stub("observer.heartbeat", admission.HeartbeatInput, admission.HeartbeatAnswer)
end = Stub("observer.end", admission.EndInput, Nothing)
verdict = Stub("observer.verdict", ScopeInput, admission.VerdictModel)
observer_sweep = Stub("observer.sweep", Nothing, SweepReport)

register_group = Stub("provisioner.register_group", provisioning.RegisterGroupInput, provisioning.GroupModel)
get_group = Stub("provisioner.get_group", NamedGroup, provisioning.GroupModel)
apply_group = Stub("provisioner.apply_group", provisioning.GroupStackInput, provisioning.StackResult)
remove_group = Stub("provisioner.remove_group", provisioning.GroupStackInput, provisioning.StackResult)
add_fleet = Stub("provisioner.add_fleet", provisioning.AddFleetInput, provisioning.StackResult)
remove_fleet = Stub("provisioner.remove_fleet", provisioning.RemoveFleetInput, provisioning.StackResult)
wait_members = Stub("provisioner.wait_members", provisioning.WaitMembersInput, provisioning.MembersState)
set_weights = Stub("provisioner.set_weights", provisioning.SetWeightsInput, Nothing)
set_ramp = Stub("provisioner.set_ramp", provisioning.SetRampInput, Nothing)
register_pipeline = Stub("provisioner.register_pipeline", provisioning.PipelineInput, provisioning.PipelineModel)
get_pipeline = Stub("provisioner.get_pipeline", NamedPipeline, provisioning.PipelineModel)
remove_pipeline = Stub("provisioner.remove_pipeline", NamedPipeline, Nothing)
build_environment = Stub(
    "provisioner.build_environment", provisioning.BuildEnvironmentInput, provisioning.EnvironmentModel
)
get_environment = Stub("provisioner.get_environment", NamedEnvironment, provisioning.EnvironmentModel)
remove_environment = Stub("provisioner.remove_environment", NamedEnvironment, Nothing)
check_drift = Stub("provisioner.check_drift", Nothing, provisioning.DriftReport)
repair_drift = Stub("provisioner.repair_drift", provisioning.RepairDriftInput, provisioning.StackResult)
redrive_dead_letters = Stub("provisioner.redrive_dead_letters", dead_letters.RedriveInput, dead_letters.RedriveReport)
add_copy = Stub("provisioner.add_copy", rating.AddCopyInput, rating.CopyModel)
drive_step = Stub("provisioner.drive_step", rating.DriveInput, rating.DriveAnswer)
provisioner_sweep = Stub("provisioner.sweep", Nothing, SweepReport)

open_deployment = Stub("deployer.open_deployment", deployment.OpenDeploymentInput, deployment.OpenedDeployment)
record_step = Stub("deployer.record_step", deployment.RecordStepInput, Nothing)
judge = Stub("deployer.judge", deployment.JudgeInput, deployment.Judgement)
close_deployment = Stub("deployer.close_deployment", deployment.CloseDeploymentInput, Nothing)
first_revision = Stub("deployer.first_revision", provisioning.Revision, provisioning.Revision)

reserve = Stub("autoscaler.reserve", scaling.ReserveInput, scaling.ReserveAnswer)
release = Stub("autoscaler.release", scaling.ReleaseInput, Nothing)
set_desired = Stub("autoscaler.set_desired", scaling.SetDesiredInput, scaling.ScaleResult)
wait_in_service = Stub("autoscaler.wait_in_service", scaling.WaitInServiceInput, scaling.ScaleResult)
record_outcome = Stub("autoscaler.record_outcome", scaling.ScaleResult, Nothing)
record_rating = Stub("autoscaler.record_rating", rating.RatingModel, rating.RatingModel)
autoscaler_sweep = Stub("autoscaler.sweep", Nothing, SweepReport)

STUBS: tuple[Stub[BaseModel, BaseModel], ...] = tuple(v for v in list(globals().values()) if isinstance(v, Stub))
