"""What is not as declared, whose it is, and how bad.

Each field has one owner. A field that another service owns is no drift while it stays where we let it: the
Autoscaler's desired capacity inside the declared [min, max] is folded, outside it is drift that is reported and never
set back to the initial value. A failed read is not an empty answer: whoever cannot read passes `None` for the
resource's fields and nothing is said about it.

Classes, worst first: `destructive` (the resource is gone), `security` (more is allowed than declared, or other code
would run), `capacity` (bounds and scaling behaviour), `managed` (another service's field), `benign` (labels).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from services.provisioner.domain.declared import ASG
from shared.domain.names import GroupName

PROVISIONER, AUTOSCALER, DEPLOYER = "provisioner", "autoscaler", "deployer"
MISSING = "(missing)"
EXISTS = "exists"

_OWNERS = {"DesiredCapacity": AUTOSCALER, "LaunchTemplate.Version": DEPLOYER}
_CLASSES = {
    "DesiredCapacity": "capacity",
    "LaunchTemplate.Version": "managed",
    "Tags": "benign",
    "Description": "benign",
    "MinSize": "capacity",
    "MaxSize": "capacity",
    "SuspendedProcesses": "capacity",
    "VPCZoneIdentifier": "security",
    "InstanceType": "capacity",
    "Ingress": "security",
    "Egress": "security",
    "HttpTokens": "security",
    "ImageId": "security",
    "UserData": "security",
    "Policy": "security",
    "Trust": "security",
    "Role": "security",
    "VpcId": "security",
    "LaunchTemplate.Name": "security",
    "SecurityGroupIds": "security",
    "IamInstanceProfile": "security",
}
ORDER = ("destructive", "security", "capacity", "managed", "benign")


@dataclass(frozen=True, slots=True)
class Finding:
    """One field of one resource that is not as declared."""

    group: GroupName
    resource: str
    field: str
    declared: str
    live: str
    drift_class: str
    owner: str
    found_at: datetime
    id: str = ""
    state: str = "open"  # open, repairing, repaired, accepted

    @property
    def key(self) -> tuple[str, str]:
        """What makes two findings of a group the same."""
        return self.resource, self.field


def within_band(*, owned: bool, nodes_min: int, nodes_max: int, declared: int, live: int) -> bool:
    """Whether a live value is no drift: an autoscaler's own one inside the declared band, else only the declared one.

    >>> within_band(owned=True, nodes_min=1, nodes_max=10, declared=1, live=4)
    True
    >>> within_band(owned=True, nodes_min=1, nodes_max=10, declared=1, live=11)
    False
    """
    return nodes_min <= live <= nodes_max if owned else live == declared


def classify(field: str) -> tuple[str, str]:
    """Class and owner of a field; one that nobody listed is `capacity`, so that it is repaired.

    >>> classify("MaxSize")
    ('capacity', 'provisioner')
    >>> classify("Egress")
    ('security', 'provisioner')
    """
    return _CLASSES.get(field, "capacity"), _OWNERS.get(field, PROVISIONER)


def compare(
    group: GroupName,
    declared: Mapping[str, Mapping[str, str]],
    live: Mapping[str, Mapping[str, str] | None],
    now: datetime,
) -> tuple[Finding, ...]:
    """Findings of one group, worst first.

    `live` has an entry for every resource that was looked at: None when AWS says it is gone. A resource without an
    entry was not looked at, and a field without a live value was not read.
    """
    found: list[Finding] = []
    for resource, fields in declared.items():
        if resource not in live:
            continue
        seen = live[resource]
        if seen is None:
            found.append(Finding(group, resource, EXISTS, "yes", MISSING, "destructive", PROVISIONER, now))
            continue
        for field, value in fields.items():
            if field not in seen or _no_drift(resource, field, value, seen[field], fields):
                continue
            drift_class, owner = classify(field)
            found.append(Finding(group, resource, field, value, seen[field], drift_class, owner, now))
    return tuple(sorted(found, key=lambda f: (ORDER.index(f.drift_class), f.resource, f.field)))


def _no_drift(resource: str, field: str, declared: str, live: str, fields: Mapping[str, str]) -> bool:
    if field == "DesiredCapacity" and resource.startswith(ASG):
        return within_band(
            owned=True,
            nodes_min=int(fields["MinSize"]),
            nodes_max=int(fields["MaxSize"]),
            declared=int(declared),
            live=int(live),
        )
    if field == "LaunchTemplate.Version":
        return True  # the Deployer's, whatever it is
    return declared == live


def repairable(finding: Finding) -> bool:
    """Whether Pulumi may set it back: what another service owns is reported, never reverted."""
    return finding.owner == PROVISIONER


def covered(
    declared: Mapping[str, Mapping[str, str]], live: Mapping[str, Mapping[str, str] | None]
) -> frozenset[tuple[str, str]]:
    """(resource, field) of everything that a comparison could have seen."""
    keys: set[tuple[str, str]] = set()
    for resource in declared.keys() & live.keys():
        keys.add((resource, EXISTS))
        seen = live[resource]
        if seen is not None:
            keys.update((resource, field) for field in declared[resource].keys() & seen.keys())
    return frozenset(keys)


def merged(
    known: tuple[Finding, ...], found: tuple[Finding, ...], looked_at: frozenset[tuple[str, str]] | None
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Findings to write: those seen now (a known one keeps its id, its time and its state), and those that are gone.

    `looked_at` says what this look could have seen; None: everything. What it could not see stays as it is known.
    """
    before = {f.key: f for f in known}
    now = {f.key: f for f in found}
    seen = tuple(
        replace(f, id=before[k].id, found_at=before[k].found_at, state=before[k].state) if k in before else f
        for k, f in now.items()
    )
    gone = tuple(
        replace(f, state="repaired")
        for k, f in before.items()
        if k not in now and (looked_at is None or k in looked_at)
    )
    return seen, gone
