"""Groups, sites and pipelines that tests use."""

from datetime import UTC, datetime

from services.provisioner.domain.group import Fleet, Group, GroupIntent
from services.provisioner.domain.group_stack import Site
from shared.contracts.objects import Autoscaling, Pipeline, ServerGroup
from shared.contracts.provisioning import Revision
from shared.domain.names import FleetId, GroupName, RevisionNumber, Workspace

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SITE = Site(
    stack="dev",
    vpc="vpc-1",
    subnets=("subnet-a", "subnet-b"),
    image="ami-1",
    bucket="bundles",
    ingress_cidrs=("10.0.0.0/16",),
)


def spec(
    name: str = "delays", kind: str = "transform", *, least: int = 1, most: int = 4, **more: object
) -> ServerGroup:
    return ServerGroup.model_validate(
        {"name": name, "kind": kind, "scaling": Autoscaling(min_nodes=least, max_nodes=most), **more}
    )


def intent(name: str = "delays", generation: int = 1, kind: str = "transform") -> GroupIntent:
    return GroupIntent(
        name=GroupName(name),
        workspace=Workspace("default"),
        kind=kind,
        node_type="m6a.large",
        nodes_min=1,
        nodes_max=4,
        owner="team",
        generation=generation,
        document=spec(name, kind).model_dump_json(),
    )


def fleet(
    group: str = "delays", revision: int = 1, *, weight: int = 0, desired: int = 1, leaving: bool = False
) -> Fleet:
    whole = Revision(group=group, number=revision)
    return Fleet(
        id=FleetId(whole.fleet),
        group=GroupName(group),
        revision=RevisionNumber(revision),
        revision_document=whole.model_dump_json(),
        node_type="m6a.large",
        desired_initial=desired,
        weight=weight,
        leaving=leaving,
    )


def group(*revisions: int) -> Group:
    return Group(intent(), fleets=tuple(fleet(revision=r) for r in revisions))


def departures(**more: object) -> Pipeline:
    return Pipeline.model_validate(
        {
            "name": "departures",
            "partitions": 6,
            "stages": [
                {"name": "ingest", "group": "departures-ingest", "work": {"type": "ingest"}},
                {"name": "normalize", "group": "departures-normalize", "work": {"type": "normalize"}},
                {"name": "transform", "group": "delays", "work": {"type": "transform"}},
                {
                    "name": "transmit",
                    "group": "departures-transmit",
                    "work": {"type": "transmit", "sinks": [{"type": "topic", "topic": "delays-scored"}]},
                },
            ],
            "edges": [
                {"source": "ingest", "target": "normalize"},
                {"source": "normalize", "target": "transform"},
                {"source": "transform", "target": "transmit"},
            ],
            **more,
        }
    )


KINDS = {
    GroupName("departures-ingest"): "ingest",
    GroupName("departures-normalize"): "stage",
    GroupName("delays"): "transform",
    GroupName("departures-transmit"): "stage",
}
