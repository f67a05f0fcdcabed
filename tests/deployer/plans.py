"""Builders of plans and samples for the Deployer's tests."""

from services.deployer.domain.judge import FleetSample
from services.deployer.domain.revision import Artifact, Revision
from services.deployer.domain.strategies import RolloutWish, Situation
from shared.domain.names import DeploymentId, FleetId, GroupName, RevisionNumber

GROUP = GroupName("delays")
OLD, NEW = FleetId("delays-r1"), FleetId("delays-r2")


def artifact(name: str) -> Artifact:
    return Artifact(f"s3://bundles/{name}.tar.gz", name)


def revision(number: int = 2, code: str = "code-2", environment: str = "env-1", **variables: str) -> Revision:
    return Revision(GROUP, RevisionNumber(number), artifact(environment), artifact(code), variables)


def situation(
    rollout: RolloutWish, nodes: int = 4, partitions: int = 0, leftovers: tuple[FleetId, ...] = ()
) -> Situation:
    return Situation(
        deployment_id=DeploymentId("dep-1"),
        revision=revision(),
        old_fleet=OLD,
        nodes=nodes,
        rollout=rollout,
        partitions=partitions,
        leftovers=leftovers,
    )


def new_sample(processed: float, failed: float, seconds: float | None = None) -> FleetSample:
    return FleetSample(NEW, processed, failed, seconds, 1)


def old_sample(processed: float, failed: float, seconds: float | None = None) -> FleetSample:
    return FleetSample(OLD, processed, failed, seconds, 3)
