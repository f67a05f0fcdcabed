"""Launch templates: the newest version is what the program declares; which one is in use is not its business."""

from typing import Any

from localcloud.aws.pulumi.network_types import change_tags, tag_specifications
from localcloud.aws.pulumi.resource import Change, Context, Seen
from localcloud.aws.pulumi.values import Inputs, as_mapping, as_pairs, given

SCALARS = (
    ("imageId", "ImageId"),
    ("instanceType", "InstanceType"),
    ("keyName", "KeyName"),
    ("userData", "UserData"),
    ("vpcSecurityGroupIds", "SecurityGroupIds"),
    ("disableApiTermination", "DisableApiTermination"),
)
BLOCKS = {
    "iamInstanceProfile": ("IamInstanceProfile", (("name", "Name"), ("arn", "Arn"))),
    "monitoring": ("Monitoring", (("enabled", "Enabled"),)),
    "metadataOptions": (
        "MetadataOptions",
        (
            ("httpEndpoint", "HttpEndpoint"),
            ("httpTokens", "HttpTokens"),
            ("httpPutResponseHopLimit", "HttpPutResponseHopLimit"),
            ("httpProtocolIpv6", "HttpProtocolIpv6"),
            ("instanceMetadataTags", "InstanceMetadataTags"),
        ),
    ),
}
EBS = (
    ("volumeSize", "VolumeSize"),
    ("volumeType", "VolumeType"),
    ("encrypted", "Encrypted"),
    ("deleteOnTermination", "DeleteOnTermination"),
    ("iops", "Iops"),
    ("throughput", "Throughput"),
)
DATA = {name for name, _ in SCALARS} | set(BLOCKS) | {"blockDeviceMappings", "tagSpecifications"}


class LaunchTemplate:
    """aws:ec2/launchTemplate:LaunchTemplate."""

    known = frozenset(DATA | {"name", "description", "tags", "updateDefaultVersion"})
    replaced_by = frozenset({"name"})

    def create(self, aws: Context, inputs: Inputs) -> str:
        """Its first version."""
        made: str = aws.clients["ec2"].create_launch_template(
            LaunchTemplateName=inputs["name"],
            LaunchTemplateData=data_of(inputs),
            TagSpecifications=tag_specifications("launch-template", inputs),
            **given({"VersionDescription": inputs.get("description")}),
        )["LaunchTemplate"]["LaunchTemplateId"]
        return made

    def find(self, aws: Context, inputs: Inputs) -> str | None:
        """By name."""
        found = aws.clients["ec2"].describe_launch_templates(LaunchTemplateNames=[inputs["name"]])["LaunchTemplates"]
        return found[0]["LaunchTemplateId"] if found else None

    def read(self, aws: Context, resource_id: str, inputs: Inputs) -> Seen | None:  # noqa: ARG002
        """Its latest version."""
        ec2 = aws.clients["ec2"]
        found = ec2.describe_launch_templates(LaunchTemplateIds=[resource_id])["LaunchTemplates"]
        if not found:
            return None
        template = found[0]
        version = ec2.describe_launch_template_versions(LaunchTemplateId=resource_id, Versions=["$Latest"])[
            "LaunchTemplateVersions"
        ][0]
        seen = inputs_of(version["LaunchTemplateData"])
        seen |= {
            "name": template["LaunchTemplateName"],
            "description": version.get("VersionDescription"),
            "tags": as_mapping(template.get("Tags")),
        }
        return Seen(
            seen,
            {
                "arn": f"arn:aws:ec2:{aws.region}:{aws.account}:launch-template/{resource_id}",
                "latestVersion": template["LatestVersionNumber"],
                "defaultVersion": template["DefaultVersionNumber"],
            },
        )

    def update(self, aws: Context, resource_id: str, change: Change) -> None:
        """A new version when what it says differs; the default version moves only when the program says so."""
        ec2 = aws.clients["ec2"]
        if change.names & (DATA | {"description"}):
            number = ec2.create_launch_template_version(
                LaunchTemplateId=resource_id,
                LaunchTemplateData=data_of(change.new),
                **given({"VersionDescription": change.new.get("description")}),
            )["LaunchTemplateVersion"]["VersionNumber"]
            if change.new.get("updateDefaultVersion"):
                ec2.modify_launch_template(LaunchTemplateId=resource_id, DefaultVersion=str(number))
        if "tags" in change.names:
            change_tags(aws, resource_id, change)

    def delete(self, aws: Context, resource_id: str, inputs: Inputs) -> None:  # noqa: ARG002
        """With all its versions."""
        aws.clients["ec2"].delete_launch_template(LaunchTemplateId=resource_id)


def data_of(inputs: Inputs) -> dict[str, Any]:
    """What a version says, as EC2 takes it."""
    data = {theirs: inputs[ours] for ours, theirs in SCALARS if inputs.get(ours) is not None}
    for ours, (theirs, fields) in BLOCKS.items():
        if block := inputs.get(ours):
            data[theirs] = {there: block[here] for here, there in fields if block.get(here) is not None}
    if mappings := inputs.get("blockDeviceMappings"):
        data["BlockDeviceMappings"] = [_mapping(one) for one in mappings]
    if specifications := inputs.get("tagSpecifications"):
        data["TagSpecifications"] = [
            {"ResourceType": one["resourceType"], "Tags": as_pairs(one.get("tags"))} for one in specifications
        ]
    return data


def inputs_of(data: dict[str, Any]) -> Inputs:
    """What EC2 says of a version, as inputs."""
    inputs: Inputs = {ours: data.get(theirs) for ours, theirs in SCALARS}
    for ours, (theirs, fields) in BLOCKS.items():
        block = data.get(theirs)
        inputs[ours] = {here: _number(block.get(there)) for here, there in fields if there in block} if block else None
    inputs["blockDeviceMappings"] = [
        {"deviceName": one.get("DeviceName"), "ebs": {h: _number((one.get("Ebs") or {}).get(t)) for h, t in EBS}}
        for one in data.get("BlockDeviceMappings") or []
    ]
    inputs["tagSpecifications"] = [
        {"resourceType": one["ResourceType"], "tags": as_mapping(one.get("Tags"))}
        for one in data.get("TagSpecifications") or []
    ]
    return inputs


def _mapping(one: Inputs) -> dict[str, Any]:
    ebs = one.get("ebs") or {}
    volume = {there: _truth(ebs[here]) for here, there in EBS if ebs.get(here) is not None}
    return given({"DeviceName": one.get("deviceName"), "Ebs": volume or None})


def _truth(value: Any) -> Any:
    """The schema has some truths as texts."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() else value
