"""Whether a deployment may be planned: the version is a new one, not known to be bad, and there is a way back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.deployer.domain.revision import Artifact, Revision, RevisionRecord, marked_bad, next_number
from shared.domain.names import FleetId, GroupName, RevisionNumber
from shared.domain.reason import Compared, Reason, Remedy


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet of the group as it is now."""

    fleet: FleetId
    revision: RevisionNumber
    weight: int
    desired: int
    in_service: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to change; None stays as it runs."""

    environment: Artifact | None = None
    code: Artifact | None = None
    variables: Mapping[str, str] | None = None
    override_bad: bool = False


@dataclass(frozen=True, slots=True)
class Opening:
    """The fleet that serves, what it runs, what shall run, and fleets that only stand around."""

    old: Fleet
    running: Revision
    wanted: Revision
    leftovers: tuple[FleetId, ...]
    nodes: int


def serving(group: GroupName, fleets: Sequence[Fleet]) -> Fleet | Reason:
    """The one fleet with traffic, or why there is no such."""
    scope = f"group/{group}"
    if not fleets:
        remedy = (Remedy("apply the group first", f"headrace apply --only server-group/{group}"),)
        return Reason("NoFleet", scope, f"group {group} has no fleet yet", remedy=remedy)
    with_traffic = [f for f in fleets if f.weight > 0]
    if len(with_traffic) > 1:
        text = f"group {group} has traffic on {', '.join(f.fleet for f in with_traffic)}: two versions serve"
        remedy = (Remedy("put it on one of them first", f"headrace rollback {group}"),)
        return Reason("TwoFleetsServe", scope, text, (Compared("fleets", len(with_traffic), "==", 1),), remedy=remedy)
    return with_traffic[0] if with_traffic else max(fleets, key=lambda f: (f.in_service, f.revision))


def open_reasons(
    group: GroupName, wish: Wish, fleets: Sequence[Fleet], known: Sequence[RevisionRecord]
) -> Opening | tuple[Reason, ...]:
    """What will be deployed, or every reason against it."""
    old = serving(group, fleets)
    if isinstance(old, Reason):
        return (old,)
    scope = f"group/{group}"
    running = next((r.revision for r in known if r.revision.number == old.revision), None)
    if running is None:
        text = f"revision {old.revision} of {group}, which serves, is not on record: there would be no way back"
        return (Reason("NoWayBack", scope, text),)
    wanted = Revision(
        group,
        next_number(known),
        wish.environment or running.environment,
        wish.code or running.code,
        running.variables if wish.variables is None else wish.variables,
    )
    reasons: list[Reason] = []
    if wanted.same_content(running):
        text = f"group {group} runs this already, as revision {running.number}"
        reasons.append(Reason("NothingToDeploy", scope, text))
    bad = marked_bad(wanted, known)
    if bad is not None and not wish.override_bad:
        text = f"this version was marked bad as revision {bad.revision.number}: {bad.bad_reason or 'by a person'}"
        remedy = (Remedy("deploy another version, or say that this one is to run all the same", "--override-bad"),)
        reasons.append(Reason("RevisionMarkedBad", scope, text, remedy=remedy))
    if reasons:
        return tuple(reasons)
    leftovers = tuple(f.fleet for f in fleets if f.fleet != old.fleet)
    return Opening(old, running, wanted, leftovers, nodes=max(old.desired, old.in_service))


def missing_artifacts(opening: Opening, exists: Mapping[str, bool]) -> tuple[Reason, ...]:
    """Artifacts that nodes of the new or, on the way back, of the old revision would not find; by URL."""
    scope = f"group/{opening.wanted.group}"

    def gone(revision: Revision, code: str, what: str) -> list[Reason]:
        return [
            Reason(code, scope, f"{what}: {a.url} of revision {revision.number} does not exist")
            for a in revision.artifacts
            if not exists.get(a.url, False)
        ]

    return (
        *gone(opening.running, "NoWayBack", "there would be no way back"),
        *gone(opening.wanted, "ArtifactMissing", "its nodes could not start"),
    )
