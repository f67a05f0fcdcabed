"""Pulumi's real engine over the stand-in provider: create, no change, drift, repair, update, adoption, destroy."""

import base64
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import automation

from localcloud import ports
from localcloud.cloud import PulumiProvider
from tests.localcloud_aws.front import FrontProcess, describe

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pulumi_aws.*"),  # of its own names, at import
]
TOOLS = Path(__file__).resolve().parents[2] / ".tools"
OWNED_BY_OTHERS = ["desiredCapacity", "launchTemplate.version"]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}


class StandIn(PulumiProvider):
    """With the patience of a busy machine."""

    ready_s_max = 90.0


@pytest.fixture(scope="module")
def provider(localcloud_aws: FrontProcess, server_directory: Path) -> Iterator[StandIn]:
    log = server_directory / "pulumi-provider.log"
    one = StandIn(ports.choose(), localcloud_aws.client_environment(), log)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def home() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="headrace-pulumi-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def program(front: FrontProcess, name: str, *, nodes_max: int, words: str) -> Callable[[], None]:
    import pulumi_aws as aws

    ec2 = front.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"][:3]]

    def declare() -> None:
        firewall = aws.ec2.SecurityGroup(
            "firewall",
            name=name,
            description="d",
            vpc_id=vpc,
            ingress=[
                {"protocol": "tcp", "from_port": 7400, "to_port": 7401, "cidr_blocks": [cidr], "description": cidr}
                for cidr in ("10.0.0.0/8", "11.0.0.0/8")
            ],
            egress=[],
        )
        role = aws.iam.Role("role", name=name, assume_role_policy=json.dumps(TRUST))
        aws.iam.RolePolicy("policy", name="node", role=role.name, policy=json.dumps(POLICY))
        profile = aws.iam.InstanceProfile("profile", name=name, role=role.name)
        aws.ssm.Parameter("secret", name=f"/{name}", type="SecureString", value=pulumi.Output.secret("hush"))
        template = aws.ec2.LaunchTemplate(
            "template",
            name=name,
            image_id="ami-headrace",
            instance_type="m6a.large",
            user_data=base64.b64encode(words.encode()).decode(),
            iam_instance_profile={"name": profile.name},
            vpc_security_group_ids=[firewall.id],
            metadata_options={"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1},
        )
        aws.autoscaling.Group(
            "fleet",
            name=name,
            min_size=0,
            max_size=nodes_max,
            desired_capacity=2,
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            vpc_zone_identifiers=subnets,
            default_instance_warmup=10,
            suspended_processes=["AZRebalance"],
            initial_lifecycle_hooks=[
                {
                    "name": "drain",
                    "lifecycle_transition": "autoscaling:EC2_INSTANCE_TERMINATING",
                    "default_result": "CONTINUE",
                    "heartbeat_timeout": 60,
                }
            ],
            tags=[{"key": "headrace:group", "value": name, "propagate_at_launch": True}],
            force_delete=True,
            wait_for_capacity_timeout="2m",
            opts=pulumi.ResourceOptions(ignore_changes=OWNED_BY_OTHERS),
        )

    return declare


def stack(home: Path, provider: StandIn, name: str, declare: Callable[[], None]) -> automation.Stack:
    return automation.create_or_select_stack(
        name,
        project_name="headrace-test",
        program=declare,
        opts=automation.LocalWorkspaceOptions(
            pulumi_command=automation.PulumiCommand(root=str(TOOLS)),
            env_vars={
                "PULUMI_BACKEND_URL": f"file://{home}",
                "PULUMI_CONFIG_PASSPHRASE": "made-up",
                "PULUMI_HOME": str(home / "home"),
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
                "PULUMI_DEBUG_PROVIDERS": f"aws:{provider.port}",
            },
        ),
    )


def drift(one: automation.Stack) -> dict[str, set[str]]:
    """The inputs that differ from the world, by resource."""
    found: dict[str, set[str]] = {}

    def note(event: Any) -> None:
        outputs = getattr(event, "res_outputs_event", None)
        if outputs and outputs.metadata.op == automation.OpType.UPDATE:
            found[outputs.metadata.urn.split("::")[-1]] = set(outputs.metadata.detailed_diff or {})

    one.preview_refresh(on_event=note)
    return found


def test_a_stack_from_its_creation_to_its_end(
    localcloud_aws: FrontProcess, provider: StandIn, home: Path, unique_name: str
) -> None:
    scaling, ec2 = localcloud_aws.client("autoscaling"), localcloud_aws.client("ec2")
    one = stack(home, provider, "one", program(localcloud_aws, unique_name, nodes_max=5, words="1"))
    assert one.up().summary.resource_changes == {"create": 8}
    made = described(localcloud_aws, unique_name)
    assert [i["LifecycleState"] for i in made["Instances"]] == ["InService"] * 2  # it waited for them
    assert one.preview().change_summary == {"same": 8}
    scaling.set_desired_capacity(AutoScalingGroupName=unique_name, DesiredCapacity=4)
    assert drift(one) == {}  # the Autoscaler's business

    scaling.update_auto_scaling_group(AutoScalingGroupName=unique_name, MaxSize=9)
    firewall = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [unique_name]}])
    everywhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_egress(GroupId=firewall["SecurityGroups"][0]["GroupId"], IpPermissions=[everywhere])
    assert drift(one) == {"fleet": {"maxSize"}, "firewall": {"egress"}}
    assert one.up(refresh=True).summary.resource_changes == {"same": 6, "update": 2}
    repaired = described(localcloud_aws, unique_name)
    assert (repaired["MaxSize"], repaired["DesiredCapacity"]) == (5, 4)

    one.workspace.program = program(localcloud_aws, unique_name, nodes_max=6, words="2")
    assert one.up().summary.resource_changes == {"same": 6, "update": 2}
    updated = described(localcloud_aws, unique_name)
    assert (updated["MaxSize"], updated["DesiredCapacity"]) == (6, 4)
    assert updated["LaunchTemplate"]["Version"] == "1"  # the Deployer's business

    again = stack(home / "lost", provider, "one", program(localcloud_aws, unique_name, nodes_max=6, words="2"))
    assert again.up().summary.resource_changes == {"create": 8}  # whose state was lost: it adopts what there is
    assert len(described(localcloud_aws, unique_name)["Instances"]) >= 2
    assert again.destroy().summary.resource_changes == {"delete": 8}
    assert describe(localcloud_aws, unique_name) is None
    assert not ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [unique_name]}])["SecurityGroups"]


def described(front: FrontProcess, name: str) -> dict[str, Any]:
    group = describe(front, name)
    assert group is not None
    return group
