"""Groups by Pulumi's real engine on the embedded AWS: made, changed, drifted, repaired, killed half way and recovered."""

import asyncio
import base64
import os
import signal
from typing import Any

import pytest

from localcloud.aws.client import Control
from services.provisioner.domain.runs import ProcessMark
from services.provisioner.operations.groups import Groups
from shared.aws.clients import aws_client
from shared.contracts.node import HOOK_LAUNCHING, UserData
from shared.contracts.provisioning import (
    AddFleetInput,
    Artifact,
    GroupStackInput,
    MembersState,
    RegisterGroupInput,
    RemoveFleetInput,
    RepairDriftInput,
    Revision,
    SetWeightsInput,
    StackResult,
    WaitMembersInput,
)
from shared.domain.errors import HeadraceError, Refused, StaleLease
from tests.provisioner.conftest import Running
from tests.provisioner.examples import spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:aws.ec2/encryptioncontrol:DeprecationWarning"),  # the SDK warns as it loads
]
CHANGE_S_MAX = 90.0
READ_BACK_S = 10.0  # the engine stands still for so long
CODE = Artifact(url="s3://bundles/code/1.tar.gz", sha256="c" * 64)
SITE = Artifact(url="s3://bundles/environments/1.tar.gz", sha256="e" * 64)


def asg(name: str) -> dict[str, Any] | None:
    found = aws_client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[f"default-{name}"])
    return next(iter(found["AutoScalingGroups"]), None)


def known(name: str) -> dict[str, Any]:
    group = asg(name)
    assert group is not None, name
    return group


async def add(running: Running, group: str, revision: int, nodes: int = 1) -> StackResult:
    made = Revision(group=group, number=revision, environment=SITE, code=CODE, variables={"LEVEL": "1"})
    return await running.service.groups.add_fleet(
        AddFleetInput(group=group, revision=made, desired_initial=nodes, lease=running.lease(group))
    )


async def make(running: Running, group: str, *, nodes: int = 1) -> StackResult:
    wanted = RegisterGroupInput(spec=spec(group, owner="team"), generation=1)
    await running.service.groups.register(wanted)
    return await add(running, group, 1, nodes)


async def into_service(running: Running, group: str, fleet: str, count: int) -> MembersState:
    """Do what nodes do: complete the launching hook; wait as a workflow waits."""
    looks: list[MembersState] = []

    def ready(state: MembersState) -> None:
        looks.append(state)
        for machine in known(fleet)["Instances"]:
            if machine["LifecycleState"] == "Pending:Wait":
                aws_client("autoscaling").complete_lifecycle_action(
                    LifecycleHookName=HOOK_LAUNCHING,
                    AutoScalingGroupName=f"default-{fleet}",
                    InstanceId=machine["InstanceId"],
                    LifecycleActionResult="CONTINUE",
                )

    request = WaitMembersInput(group=group, fleet=fleet, count=count, timeout_s=CHANGE_S_MAX)
    state = await running.service.groups.wait_members(request, ready)
    assert looks
    return state


async def weigh(running: Running, group: str, **weights: int) -> None:
    wanted = {f"{group}-{k}": v for k, v in weights.items()}
    lease = running.lease(group)
    await running.service.routing.set_weights(SetWeightsInput(group=group, weights=wanted, lease=lease))


async def test_two_groups_are_made_at_once_and_serve(running: Running, unique_name: str) -> None:
    one, two = f"{unique_name}-a", f"{unique_name}-b"
    first, second = await asyncio.gather(make(running, one, nodes=2), make(running, two))
    assert (first.created, second.created) == (7, 7)
    group = known(f"{one}-r1")
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"]) == (1, 4, 2)
    tags = {t["Key"]: (t["Value"], t["PropagateAtLaunch"]) for t in group["Tags"]}
    assert tags["headrace:fleet"] == (f"{one}-r1", True)
    assert [p["ProcessName"] for p in group["SuspendedProcesses"]] == ["AZRebalance"]
    template = aws_client("ec2").describe_launch_template_versions(
        LaunchTemplateId=group["LaunchTemplate"]["LaunchTemplateId"], Versions=["$Latest"]
    )["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert template["MetadataOptions"]["HttpTokens"] == "required"
    told = UserData.model_validate_json(base64.b64decode(template["UserData"]))
    assert (told.group, told.fleet, told.revision) == (one, f"{one}-r1", 1)
    assert told.control.join == "127.0.0.1:7002"
    assert told.bundle is not None
    token = aws_client("ssm").get_parameter(Name=told.control.join_token_ref, WithDecryption=True)["Parameter"]
    assert (token["Type"], len(token["Value"]) >= 40) == ("SecureString", True)
    assert token["Value"] not in base64.b64decode(template["UserData"]).decode()
    state = await into_service(running, one, f"{one}-r1", 2)
    assert (state.satisfied, state.in_service) == (True, 2)
    await running.service.routing.tick()
    await weigh(running, one, r1=100)
    published = await running.service.routing.published(running_name(one))
    assert [(f.weight, len(f.endpoints)) for f in published.routes.fleets] == [(100, 2)]
    assert all(e.endswith(":7400") for e in published.routes.fleets[0].endpoints)
    model = await running.service.groups.get(one)
    assert (model.phase, model.fleets[0].in_service, model.revisions[0].variables) == ("READY", 2, {"LEVEL": "1"})
    again = await add(running, one, 1, 2)
    assert (again.created, again.updated, again.deleted) == (0, 0, 0)


def running_name(name: str) -> Any:
    return name


async def test_a_second_fleet_comes_and_the_first_goes(running: Running, unique_name: str) -> None:
    group = unique_name
    await make(running, group)
    await weigh(running, group, r1=100)
    await add(running, group, 2, 1)
    assert (known(f"{group}-r1")["MinSize"], known(f"{group}-r2")["MinSize"]) == (0, 0)
    lease = running.lease(group)
    with pytest.raises(Refused, match="last"):
        await running.service.groups.remove_fleet(RemoveFleetInput(group=group, fleet=f"{group}-r1", lease=lease))
    await weigh(running, group, r2=100)
    removal = RemoveFleetInput(group=group, fleet=f"{group}-r1", lease=running.lease(group))
    removed = await running.service.groups.remove_fleet(removal)
    assert removed.deleted == 2
    assert asg(f"{group}-r1") is None
    assert known(f"{group}-r2")["MinSize"] == 1
    assert (await running.service.groups.remove_fleet(removal)).deleted == 0
    with pytest.raises(StaleLease):
        await running.service.groups.apply(
            GroupStackInput(group=group, lease=lease.model_copy(update={"token": lease.token - 1}))
        )
    gone = await running.service.groups.remove(GroupStackInput(group=group, lease=running.lease(group)))
    assert gone.deleted == 7
    assert asg(f"{group}-r2") is None
    assert (await running.service.groups.remove(GroupStackInput(group=group, lease=running.lease(group)))).deleted == 0


async def test_drift_is_found_by_both_ways_and_only_ours_is_repaired(running: Running, unique_name: str) -> None:
    group, drifting = unique_name, running.service.drifting
    await make(running, group)
    assert (await drifting.check()).findings == ()
    assert (await drifting.check_by_engine(group)).findings == ()
    name = f"default-{group}-r1"
    aws_client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=name, MaxSize=9, DesiredCapacity=3)
    (cheap,) = (await drifting.check()).findings
    (authority,) = (await drifting.check_by_engine(group)).findings
    assert cheap == authority
    assert (cheap.field, cheap.declared, cheap.live, cheap.drift_class) == ("MaxSize", "4", "9", "capacity")
    request = RepairDriftInput(group=group, finding_ids=(cheap.id,), lease=running.lease(group))
    repaired = await drifting.repair(request)
    assert repaired.updated >= 1
    after = known(f"{group}-r1")
    assert (after["MaxSize"], after["DesiredCapacity"]) == (4, 3)
    assert (await drifting.check()).findings == ()
    (kept,) = await drifting.list(group, include_repaired=True)
    assert (kept.id, kept.state) == (cheap.id, "repaired")


async def test_an_opened_security_group_is_security_drift(running: Running, unique_name: str) -> None:
    group, drifting = unique_name, running.service.drifting
    await make(running, group)
    named = [{"Name": "group-name", "Values": [f"headrace-default-{group}"]}]
    (found,) = aws_client("ec2").describe_security_groups(Filters=named)["SecurityGroups"]
    assert found["IpPermissionsEgress"] == []
    everywhere = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    aws_client("ec2").authorize_security_group_ingress(GroupId=found["GroupId"], IpPermissions=[everywhere])
    (finding,) = (await drifting.check()).findings
    assert (finding.field, finding.drift_class, finding.owner) == ("Ingress", "security", "provisioner")
    await drifting.repair(RepairDriftInput(group=group, finding_ids=(finding.id,), lease=running.lease(group)))
    (after,) = aws_client("ec2").describe_security_groups(Filters=named)["SecurityGroups"]
    assert [p["FromPort"] for p in after["IpPermissions"]] == [7400]


async def test_a_group_removed_by_hand_is_destructive_drift_and_comes_back(running: Running, unique_name: str) -> None:
    group, drifting = unique_name, running.service.drifting
    await make(running, group)
    aws_client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=f"default-{group}-r1", ForceDelete=True)
    async with asyncio.timeout(CHANGE_S_MAX):
        while asg(f"{group}-r1") is not None:
            await asyncio.wait({asyncio.ensure_future(drifting.check())})
    (finding,) = (await drifting.check()).findings
    assert (finding.drift_class, finding.live) == ("destructive", "(missing)")
    await drifting.repair(RepairDriftInput(group=group, finding_ids=(finding.id,), lease=running.lease(group)))
    assert known(f"{group}-r1")["DesiredCapacity"] == 1


async def killed_while_creating(running: Running, group: str) -> HeadraceError:
    """Kill -9 Pulumi's process when the group's launch template is there, and nobody has told it so yet."""
    reading_back = {"service": "ec2", "actions": ["DescribeLaunchTemplateVersions"], "delay_s": READ_BACK_S}
    with Control(os.environ["AWS_ENDPOINT_URL"]) as control, control.fault("slow", 300, **reading_back):
        return await _killed(running, group)


async def _killed(running: Running, group: str) -> HeadraceError:
    adding = asyncio.ensure_future(add(running, group, 1))
    filters = [{"Name": "launch-template-name", "Values": [f"headrace-default-{group}-r1"]}]

    def template() -> bool:
        return bool(aws_client("ec2").describe_launch_templates(Filters=filters)["LaunchTemplates"])

    async with asyncio.timeout(CHANGE_S_MAX * 2):
        while not await asyncio.to_thread(template):
            assert not adding.done()
    (run,) = [r for r in await running.adapters.runs.running() if r.group == group]
    mark: ProcessMark = run.processes[-1]
    os.kill(mark.pid, signal.SIGKILL)
    with pytest.raises(HeadraceError) as caught:
        await adding
    return caught.value


async def test_a_killed_engine_is_recovered_by_the_next_try(running: Running, unique_name: str) -> None:
    group = unique_name
    await running.service.groups.register(RegisterGroupInput(spec=spec(group), generation=1))
    failure = await killed_while_creating(running, group)
    assert failure.retryable
    assert (await running.service.groups.get(group)).phase == "ERROR"
    locks = list((running.directory / "state" / ".pulumi" / "locks").rglob("*.json"))
    assert len(locks) == 1
    assert not list((running.directory / "state").rglob("*.attrs"))  # written in place: half of one ends every next run
    again = await add(running, group, 1)
    assert again.fleets[0].fleet == f"{group}-r1"
    assert (await running.service.groups.get(group)).phase == "READY"
    assert known(f"{group}-r1")["MaxSize"] == 4
    assert (await running.service.drifting.check_by_engine(group)).findings == ()
    runs = await running.adapters.runs.runs(f"default-{group}", 10)
    assert [r.state for r in runs] == ["done", "failed"]
    unchanged = await running.service.groups.apply(GroupStackInput(group=group, lease=running.lease(group)))
    assert (unchanged.created, unchanged.updated, unchanged.deleted) == (0, 0, 0)


async def test_a_lock_of_somebody_else_is_not_broken(running: Running, unique_name: str) -> None:
    group = unique_name
    await make(running, group)
    folder = running.directory / "state" / ".pulumi" / "locks" / "organization" / "headrace" / f"default-{group}"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "6a2f41a3-c54c-fce8-32d2-0324e1c32e22.json"
    lock.write_text('{"pid":1,"username":"somebody","hostname":"elsewhere","timestamp":"2026-11-21T08:00:00Z"}')
    for _ in range(2):
        with pytest.raises(HeadraceError, match="locked by process 1 of elsewhere") as caught:
            await running.service.groups.apply(GroupStackInput(group=group, lease=running.lease(group)))
        assert caught.value.retryable
    assert lock.exists()
    lock.unlink()
    await running.service.groups.apply(GroupStackInput(group=group, lease=running.lease(group)))


async def test_a_cancelled_run_ends_politely_and_leaves_no_lock(running: Running, unique_name: str) -> None:
    group = unique_name
    groups: Groups = running.service.groups
    await groups.register(RegisterGroupInput(spec=spec(group), generation=1))
    adding = asyncio.ensure_future(add(running, group, 1))
    async with asyncio.timeout(CHANGE_S_MAX):
        while not [r for r in await running.adapters.runs.running() if r.processes]:
            assert not adding.done()
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert list((running.directory / "state" / ".pulumi" / "locks").rglob("*.json")) == []
    assert (await running.adapters.runs.running()) == ()
    assert (await add(running, group, 1)).fleets[0].fleet == f"{group}-r1"


async def test_a_plan_shows_what_would_be_done(running: Running, unique_name: str) -> None:
    group = unique_name
    changes, warnings = await running.service.plans.preview(spec(group, most=6))
    assert f"create autoscaling group default-{group}-r1" in changes
    assert "about $63 to $378 a month for 1 to 6 machines of m6a.large, on demand" in warnings
    await make(running, group)
    changes, _ = await running.service.plans.preview(spec(group, most=6, node_type="m6a.xlarge"))
    assert f"update autoscaling group default-{group}-r1: MaxSize 4 -> 6" in changes
    assert "node type m6a.large -> m6a.xlarge: from the next revision on" in changes
