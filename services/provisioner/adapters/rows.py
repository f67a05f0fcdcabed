"""Domain values as JSON documents in rows, both ways."""

from dataclasses import asdict
from typing import Any

from services.provisioner.domain.environment import EnvironmentIntent
from services.provisioner.domain.group import Bundle, Fleet, GroupIntent
from services.provisioner.domain.pipeline import PipelineIntent, StageIntent
from services.provisioner.domain.traffic import FleetRoute, GroupRoutes
from shared.domain.names import FleetId, GroupName, RevisionNumber


def document(value: Any) -> dict[str, Any]:
    """A dataclass as a JSON document."""
    return asdict(value)


def group_intent(d: dict[str, Any]) -> GroupIntent:
    """Back."""
    return GroupIntent(**d)


def bundle(d: dict[str, Any] | None) -> Bundle | None:
    """Back."""
    return Bundle(**d) if d else None


def fleet_detail(f: Fleet) -> dict[str, Any]:
    """What of a fleet is no column of its own."""
    return {
        "revision_document": f.revision_document,
        "node_type": f.node_type,
        "desired_initial": f.desired_initial,
        "bundle": asdict(f.bundle) if f.bundle else None,
        "token_digest": f.token_digest,
    }


def fleet(row: Any) -> Fleet:
    """Back, from a row of `fleets`."""
    d = dict(row.detail)
    return Fleet(
        id=FleetId(row.id),
        group=GroupName(row.group_name),
        revision=RevisionNumber(row.revision),
        weight=row.weight,
        leaving=row.leaving,
        **{**d, "bundle": bundle(d["bundle"])},
    )


def pipeline_intent(d: dict[str, Any]) -> PipelineIntent:
    """Back."""
    stages = tuple(
        StageIntent(**{**s, "targets": tuple(s["targets"]), "sink_topics": tuple(s["sink_topics"])})
        for s in d["stages"]
    )
    return PipelineIntent(**{**d, "stages": stages})


def environment_intent(d: dict[str, Any]) -> EnvironmentIntent:
    """Back."""
    return EnvironmentIntent(**d)


def routes(d: dict[str, Any]) -> GroupRoutes:
    """Back."""
    fleets = tuple(
        FleetRoute(**{**f, "endpoints": tuple(f["endpoints"]), "zones": tuple(f.get("zones", ()))}) for f in d["fleets"]
    )
    return GroupRoutes(**{**d, "fleets": fleets})
