"""Security groups, launch templates and target groups."""

from collections.abc import Iterable
from typing import Any

from localcloud.aws.pulumi.resource import Change, Context, Seen, removed_keys
from localcloud.aws.pulumi.values import Inputs, as_mapping, as_pairs, given, same

ALL_PROTOCOLS = "-1"
DESCRIPTION_DEFAULT = "Managed by Pulumi"
SIDES = (("IpPermissions", "ingress"), ("IpPermissionsEgress", "egress"))
SOURCES = {
    "cidrBlocks": ("IpRanges", "CidrIp"),
    "ipv6CidrBlocks": ("Ipv6Ranges", "CidrIpv6"),
    "prefixListIds": ("PrefixListIds", "PrefixListId"),
    "securityGroups": ("UserIdGroupPairs", "GroupId"),
}


def tag_specifications(kind: str, inputs: Inputs) -> list[dict[str, Any]]:
    """Tags for a resource that is being made."""
    return [{"ResourceType": kind, "Tags": as_pairs(inputs["tags"])}] if inputs.get("tags") else []


def change_tags(aws: Context, resource_id: str, change: Change) -> None:
    """Bring the tags of an EC2 resource to what is wanted."""
    ec2 = aws.clients["ec2"]
    if gone := removed_keys(change):
        ec2.delete_tags(Resources=[resource_id], Tags=[{"Key": key} for key in gone])
    if change.new.get("tags"):
        ec2.create_tags(Resources=[resource_id], Tags=as_pairs(change.new["tags"]))


class SecurityGroup:
    """aws:ec2/securityGroup:SecurityGroup. Without declared egress there is none: EC2's own rule is taken away."""

    known = frozenset({"name", "description", "vpcId", "ingress", "egress", "tags", "revokeRulesOnDelete"})
    replaced_by = frozenset({"name", "description", "vpcId"})

    def create(self, aws: Context, inputs: Inputs) -> str:
        """The group, then its rules."""
        ec2 = aws.clients["ec2"]
        made: str = ec2.create_security_group(
            GroupName=inputs["name"],
            Description=inputs.get("description") or DESCRIPTION_DEFAULT,
            VpcId=inputs.get("vpcId") or self._default_vpc(aws),
            TagSpecifications=tag_specifications("security-group", inputs),
        )["GroupId"]
        self._bring_rules(aws, made, inputs)
        return made

    def find(self, aws: Context, inputs: Inputs) -> str | None:
        """By name and network."""
        filters = [
            {"Name": "group-name", "Values": [inputs["name"]]},
            {"Name": "vpc-id", "Values": [inputs.get("vpcId") or self._default_vpc(aws)]},
        ]
        found = aws.clients["ec2"].describe_security_groups(Filters=filters)["SecurityGroups"]
        return found[0]["GroupId"] if found else None

    def read(self, aws: Context, resource_id: str, inputs: Inputs) -> Seen | None:
        """By id. EC2 joins rules of the same ports; while they allow the same, the program's own words are kept."""
        group = self._describe(aws, resource_id)
        rules = {}
        for theirs, ours in SIDES:
            declared, live = inputs.get(ours) or [], [rule_of(p) for p in group[theirs]]
            rules[ours] = declared if same(singles(declared), singles(split(group[theirs]))) else live
        return Seen(
            {
                "name": group["GroupName"],
                "description": group["Description"],
                "vpcId": group.get("VpcId"),
                "tags": as_mapping(group.get("Tags")),
                **rules,
            },
            {
                "arn": f"arn:aws:ec2:{aws.region}:{aws.account}:security-group/{resource_id}",
                "ownerId": group["OwnerId"],
            },
        )

    def update(self, aws: Context, resource_id: str, change: Change) -> None:
        """Rules and tags."""
        if change.names & {"ingress", "egress"}:
            self._bring_rules(aws, resource_id, change.new)
        if "tags" in change.names:
            change_tags(aws, resource_id, change)

    def delete(self, aws: Context, resource_id: str, inputs: Inputs) -> None:  # noqa: ARG002
        """Refused by EC2 while an instance has it."""
        aws.clients["ec2"].delete_security_group(GroupId=resource_id)

    def _describe(self, aws: Context, resource_id: str) -> dict[str, Any]:
        found: dict[str, Any] = aws.clients["ec2"].describe_security_groups(GroupIds=[resource_id])["SecurityGroups"][0]
        return found

    def _default_vpc(self, aws: Context) -> str:
        filters = [{"Name": "is-default", "Values": ["true"]}]
        vpc: str = aws.clients["ec2"].describe_vpcs(Filters=filters)["Vpcs"][0]["VpcId"]
        return vpc

    def _bring_rules(self, aws: Context, resource_id: str, inputs: Inputs) -> None:
        ec2, group = aws.clients["ec2"], self._describe(aws, resource_id)
        calls = {
            "ingress": (ec2.authorize_security_group_ingress, ec2.revoke_security_group_ingress),
            "egress": (ec2.authorize_security_group_egress, ec2.revoke_security_group_egress),
        }
        for theirs, ours in SIDES:
            authorize, revoke = calls[ours]
            have = singles(split(group[theirs]))
            want = singles(inputs.get(ours) or [])
            for rule in missing_in(want, have):
                revoke(GroupId=resource_id, IpPermissions=[permission_of(rule)])
            for rule in missing_in(have, want):
                authorize(GroupId=resource_id, IpPermissions=[permission_of(rule)])


def singles(rules: Iterable[Inputs]) -> list[Inputs]:
    """The same rules with one source each, as they are told apart.

    >>> singles([{"protocol": "tcp", "fromPort": 1, "toPort": 2, "cidrBlocks": ["10.0.0.0/8", "11.0.0.0/8"]}])[1]
    {'protocol': 'tcp', 'fromPort': 1, 'toPort': 2, 'cidrBlocks': ['11.0.0.0/8']}
    """
    found: list[Inputs] = []
    for rule in rules:
        every = str(rule["protocol"]) == ALL_PROTOCOLS
        ports = {"fromPort": 0, "toPort": 0} if every else {"fromPort": rule["fromPort"], "toPort": rule["toPort"]}
        found += [
            {"protocol": str(rule["protocol"]), **ports, name: [source]}
            | given({"description": rule.get("description")})
            for name in SOURCES
            for source in rule.get(name) or []
        ]
    return found


def split(permissions: Iterable[dict[str, Any]]) -> list[Inputs]:
    """EC2's permissions as rules of one source each, every one with its own description."""
    return [
        rule_of({**ports_of(permission), theirs: [entry]})
        for permission in permissions
        for theirs, _ in SOURCES.values()
        for entry in permission.get(theirs) or []
    ]


def ports_of(permission: dict[str, Any]) -> dict[str, Any]:
    """Its protocol and ports alone."""
    return {name: permission[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in permission}


def missing_in(have: Iterable[Inputs], candidates: Iterable[Inputs]) -> list[Inputs]:
    """The candidates that are not there."""
    present = list(have)
    return [rule for rule in candidates if not any(same(rule, other) for other in present)]


def permission_of(rule: Inputs) -> dict[str, Any]:
    """A rule as EC2 takes it."""
    note = given({"Description": rule.get("description") or None})
    permission: dict[str, Any] = {"IpProtocol": str(rule["protocol"])}
    if permission["IpProtocol"] != ALL_PROTOCOLS:
        permission |= {"FromPort": rule["fromPort"], "ToPort": rule["toPort"]}
    for name, (theirs, field) in SOURCES.items():
        if rule.get(name):
            permission[theirs] = [{field: source, **note} for source in rule[name]]
    return permission


def rule_of(permission: dict[str, Any]) -> Inputs:
    """A permission of EC2 as a rule."""
    rule: Inputs = {"protocol": permission["IpProtocol"], "fromPort": 0, "toPort": 0}
    if permission["IpProtocol"] != ALL_PROTOCOLS:
        rule |= {"fromPort": permission["FromPort"], "toPort": permission["ToPort"]}
    notes = set()
    for name, (theirs, field) in SOURCES.items():
        if entries := permission.get(theirs):
            rule[name] = [entry[field] for entry in entries]
            notes |= {entry["Description"] for entry in entries if entry.get("Description")}
    if notes:
        rule["description"] = min(notes)
    return rule


class TargetGroup:
    """aws:lb/targetGroup:TargetGroup."""

    known = frozenset({"name", "port", "protocol", "vpcId", "targetType", "tags", "healthCheck"})
    replaced_by = frozenset({"name", "port", "protocol", "vpcId", "targetType"})
    checks = (
        ("path", "HealthCheckPath"),
        ("port", "HealthCheckPort"),
        ("protocol", "HealthCheckProtocol"),
        ("interval", "HealthCheckIntervalSeconds"),
        ("timeout", "HealthCheckTimeoutSeconds"),
        ("healthyThreshold", "HealthyThresholdCount"),
        ("unhealthyThreshold", "UnhealthyThresholdCount"),
    )

    def create(self, aws: Context, inputs: Inputs) -> str:
        """The id is the ARN."""
        made = aws.clients["elbv2"].create_target_group(
            Name=inputs["name"],
            Port=inputs["port"],
            Protocol=inputs["protocol"],
            VpcId=inputs["vpcId"],
            TargetType=inputs.get("targetType", "instance"),
            **given({"Tags": as_pairs(inputs.get("tags")) or None}),
            **self._check(inputs),
        )
        arn: str = made["TargetGroups"][0]["TargetGroupArn"]
        return arn

    def find(self, aws: Context, inputs: Inputs) -> str | None:
        """By name."""
        found = aws.clients["elbv2"].describe_target_groups(Names=[inputs["name"]])["TargetGroups"]
        return found[0]["TargetGroupArn"] if found else None

    def read(self, aws: Context, resource_id: str, inputs: Inputs) -> Seen | None:  # noqa: ARG002
        """By ARN."""
        balancing = aws.clients["elbv2"]
        group = balancing.describe_target_groups(TargetGroupArns=[resource_id])["TargetGroups"][0]
        tags = balancing.describe_tags(ResourceArns=[resource_id])["TagDescriptions"][0]["Tags"]
        seen = {
            "name": group["TargetGroupName"],
            "port": group["Port"],
            "protocol": group["Protocol"],
            "vpcId": group["VpcId"],
            "targetType": group["TargetType"],
            "tags": as_mapping(tags),
            "healthCheck": {ours: group.get(theirs) for ours, theirs in self.checks},
        }
        return Seen(seen, {"arn": resource_id, "arnSuffix": resource_id.rsplit(":", maxsplit=1)[-1]})

    def update(self, aws: Context, resource_id: str, change: Change) -> None:
        """Health check and tags."""
        balancing = aws.clients["elbv2"]
        if "healthCheck" in change.names:
            balancing.modify_target_group(TargetGroupArn=resource_id, **self._check(change.new))
        if "tags" in change.names:
            if gone := removed_keys(change):
                balancing.remove_tags(ResourceArns=[resource_id], TagKeys=gone)
            if change.new.get("tags"):
                balancing.add_tags(ResourceArns=[resource_id], Tags=as_pairs(change.new["tags"]))

    def delete(self, aws: Context, resource_id: str, inputs: Inputs) -> None:  # noqa: ARG002
        """Remove it."""
        aws.clients["elbv2"].delete_target_group(TargetGroupArn=resource_id)

    def _check(self, inputs: Inputs) -> dict[str, Any]:
        check = inputs.get("healthCheck") or {}
        return {theirs: check[ours] for ours, theirs in self.checks if check.get(ours) is not None}
