"""Every Temporal activity: its name, the queue it runs on, what goes in and what comes out.

Services register methods under these names; `workflows.stubs` has the typed stubs; a test holds both to this table.
"""

from dataclasses import dataclass

from pydantic import BaseModel

from shared.contracts import admission, dead_letters, deployment, provisioning, queues, rating, scaling
from shared.contracts.base import Contract


class Nothing(Contract):
    """No input or no output."""


class NamedGroup(Contract):
    """Input of reads about one group."""

    group: str


class NamedPipeline(Contract):
    """Input of reads about one pipeline."""

    pipeline: str


class NamedEnvironment(Contract):
    """Input of reads about one environment."""

    environment: str


class ScopeInput(Contract):
    """Input of reads about one scope."""

    scope: str


class SweepReport(Contract):
    """What a sweep ended or adopted."""

    ended: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()  # groups whose copy for a rating was left behind


@dataclass(frozen=True, slots=True)
class ActivityContract:
    """One row."""

    name: str
    queue: str
    input: type[BaseModel]
    output: type[BaseModel]


_O, _D, _P, _A = queues.OBSERVER, queues.DEPLOYER, queues.PROVISIONER, queues.AUTOSCALER

ACTIVITIES: dict[str, ActivityContract] = {
    row.name: row
    for row in (
        ActivityContract("observer.begin", _O, admission.BeginInput, admission.BeginAnswer),
        ActivityContract("observer.heartbeat", _O, admission.HeartbeatInput, admission.HeartbeatAnswer),
        ActivityContract("observer.end", _O, admission.EndInput, Nothing),
        ActivityContract("observer.verdict", _O, ScopeInput, admission.VerdictModel),
        ActivityContract("observer.sweep", _O, Nothing, SweepReport),
        ActivityContract("provisioner.register_group", _P, provisioning.RegisterGroupInput, provisioning.GroupModel),
        ActivityContract("provisioner.get_group", _P, NamedGroup, provisioning.GroupModel),
        ActivityContract("provisioner.apply_group", _P, provisioning.GroupStackInput, provisioning.StackResult),
        ActivityContract("provisioner.remove_group", _P, provisioning.GroupStackInput, provisioning.StackResult),
        ActivityContract("provisioner.add_fleet", _P, provisioning.AddFleetInput, provisioning.StackResult),
        ActivityContract("provisioner.remove_fleet", _P, provisioning.RemoveFleetInput, provisioning.StackResult),
        ActivityContract("provisioner.wait_members", _P, provisioning.WaitMembersInput, provisioning.MembersState),
        ActivityContract("provisioner.set_weights", _P, provisioning.SetWeightsInput, Nothing),
        ActivityContract("provisioner.set_ramp", _P, provisioning.SetRampInput, Nothing),
        ActivityContract("provisioner.register_pipeline", _P, provisioning.PipelineInput, provisioning.PipelineModel),
        ActivityContract("provisioner.get_pipeline", _P, NamedPipeline, provisioning.PipelineModel),
        ActivityContract("provisioner.remove_pipeline", _P, NamedPipeline, Nothing),
        ActivityContract(
            "provisioner.build_environment", _P, provisioning.BuildEnvironmentInput, provisioning.EnvironmentModel
        ),
        ActivityContract("provisioner.get_environment", _P, NamedEnvironment, provisioning.EnvironmentModel),
        ActivityContract("provisioner.remove_environment", _P, NamedEnvironment, Nothing),
        ActivityContract("provisioner.check_drift", _P, Nothing, provisioning.DriftReport),
        ActivityContract("provisioner.repair_drift", _P, provisioning.RepairDriftInput, provisioning.StackResult),
        ActivityContract("provisioner.redrive_dead_letters", _P, dead_letters.RedriveInput, dead_letters.RedriveReport),
        ActivityContract("provisioner.add_copy", _P, rating.AddCopyInput, rating.CopyModel),
        ActivityContract("provisioner.drive_step", _P, rating.DriveInput, rating.DriveAnswer),
        ActivityContract("provisioner.sweep", _P, Nothing, SweepReport),
        ActivityContract("deployer.open_deployment", _D, deployment.OpenDeploymentInput, deployment.OpenedDeployment),
        ActivityContract("deployer.record_step", _D, deployment.RecordStepInput, Nothing),
        ActivityContract("deployer.judge", _D, deployment.JudgeInput, deployment.Judgement),
        ActivityContract("deployer.close_deployment", _D, deployment.CloseDeploymentInput, Nothing),
        ActivityContract("deployer.first_revision", _D, provisioning.Revision, provisioning.Revision),
        ActivityContract("autoscaler.reserve", _A, scaling.ReserveInput, scaling.ReserveAnswer),
        ActivityContract("autoscaler.release", _A, scaling.ReleaseInput, Nothing),
        ActivityContract("autoscaler.set_desired", _A, scaling.SetDesiredInput, scaling.ScaleResult),
        ActivityContract("autoscaler.wait_in_service", _A, scaling.WaitInServiceInput, scaling.ScaleResult),
        ActivityContract("autoscaler.record_outcome", _A, scaling.ScaleResult, Nothing),
        ActivityContract("autoscaler.record_rating", _A, rating.RatingModel, rating.RatingModel),
        ActivityContract("autoscaler.sweep", _A, Nothing, SweepReport),
    )
}
