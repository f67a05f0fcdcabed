"""Steps 8 to 10: drift by hand, a service killed in the middle of its work, and load that falls."""

from typing import Any

from localcloud.state import DIRECTORY
from tools.demo.command import headrace, start_headrace
from tools.demo.flow import TOTAL, Flow
from tools.demo.narrator import Narrator
from tools.demo.steps_change import DEPLOY_S_MAX, FOURTH, GROUP
from tools.demo.waiting import wait_for
from tools.demo.world import Api, Aws, kill_part, part_pid

DRIFT_S_MAX = 40.0
BY_HAND = 33
RESTART_S_MAX = 30.0
FALL_S_MAX = 90.0
DRAIN_S_MAX = 90.0
LAST_RATE = 3500.0


def drift(tell: Narrator, api: Api, aws: Aws) -> None:
    """Step 8."""
    tell.step(8, "Somebody raises an ASG's maximum by hand")
    fleet, asg = next(iter(aws.fleets(GROUP).items()))
    name, declared = asg["AutoScalingGroupName"], asg["MaxSize"]
    aws.raise_maximum(name, BY_HAND)
    tell.say(f"boto3: update_auto_scaling_group({name}, MaxSize={BY_HAND}), declared is {declared}")
    found = wait_for(lambda: _finding(api), DRIFT_S_MAX)
    tell.expect("the drift is found, named field by field", seen=bool(found), detail=_drift_text(found))
    mended = wait_for(lambda: aws.fleets(GROUP)[fleet]["MaxSize"] == declared, DRIFT_S_MAX)
    tell.expect("and repaired", seen=bool(mended), detail=f"MaxSize {aws.fleets(GROUP)[fleet]['MaxSize']}")


def killed_deployer(tell: Narrator, api: Api, aws: Aws) -> None:
    """Step 9."""
    tell.step(9, "kill -9 of the Deployer in the middle of a rollout")
    log = DIRECTORY / "logs" / "demo-deploy.log"
    before = {d["id"] for d in api.items("/v1/deployments", group=GROUP)}
    deploying = start_headrace(["deploy", GROUP, "--code", FOURTH, "--queue"], log)
    moving = wait_for(lambda: _moving(api, before), DEPLOY_S_MAX)
    pid = kill_part("deployer")
    back = wait_for(lambda: part_pid("deployer") not in {None, pid}, RESTART_S_MAX)
    step = moving.get("step_text", "") if moving else "?"
    tell.expect("it was killed and restarted", seen=bool(moving and back), detail=f"killed pid {pid} at: {step}")
    code = deploying.wait(timeout=DEPLOY_S_MAX)
    for line in log.read_text().splitlines()[-6:]:
        tell.say(f"  {line}")
    fleets = aws.fleets(GROUP)
    tell.expect("the rollout finishes", seen=code == 0, detail=f"exit code {code}; fleets {', '.join(sorted(fleets))}")
    made = [d for d in api.items("/v1/deployments", group=GROUP) if d["id"] not in before]
    launched = sum(len(aws.activities(g["AutoScalingGroupName"])) for g in fleets.values())
    tell.expect(
        "nothing is done twice",
        seen=len(made) == 1 and len(fleets) == 1,
        detail=f"{len(made)} deployment, {len(fleets)} fleet, {launched} scaling activities",
    )


def load_falls(tell: Narrator, api: Api, aws: Aws, flow: Flow) -> None:
    """Step 10."""
    flow.replay.rate = LAST_RATE
    tell.step(10, "The last departures are sent; then load falls")
    flow.replay.exhausted.wait(DRAIN_S_MAX)
    loss = flow.settled_loss(DRAIN_S_MAX)
    numbers = flow.stats()
    tell.expect(f"all {TOTAL:,} departures were sent", seen=loss.acknowledged == TOTAL, detail=str(loss))
    tell.expect(
        "nothing acknowledged is lost",
        seen=loss.missing == 0,
        detail=f"missing {loss.missing}, duplicates {numbers['duplicates']:,}, lag p95 {numbers['lag_p95_s']:.2f} s",
    )
    before = sum(aws.in_service(GROUP).values())
    low = wait_for(lambda: sum(aws.in_service(GROUP).values()) < before, FALL_S_MAX)
    decision = _scale_in(api)
    inputs = decision.get("inputs", {})
    tell.expect(
        "scale-in, with no backlog and a good verdict",
        seen=bool(low) and inputs.get("backlog", 1.0) == 0,
        detail=f"{before} to {sum(aws.in_service(GROUP).values())} nodes; inputs {inputs}",
    )
    explained = headrace("explain", f"group/{GROUP}")
    for line in explained.out.splitlines()[:30]:
        tell.say(f"  {line}")
    words = ("out", "in", "DEPLOY", "ROLLBACK", "DRIFT_REPAIR")
    missing = [w for w in words if w not in explained.out]
    tell.expect("`headrace explain` shows each of these decisions", seen=not missing, detail=f"missing: {missing}")


def _finding(api: Api) -> dict[str, Any] | None:
    findings = api.items("/v1/drift", include_repaired="true")
    return next((f for f in findings if f["live"] == str(BY_HAND)), None)


def _drift_text(f: dict[str, Any] | None) -> str:
    return (
        f"{f['resource']}: {f['field']} is {f['live']}, declared {f['declared']} ({f['drift_class']})" if f else "none"
    )


def _moving(api: Api, before: set[str]) -> dict[str, Any] | None:
    """The new deployment, once it has begun to touch machines."""
    found = [d for d in api.items("/v1/deployments", group=GROUP) if d["id"] not in before]
    return next((d for d in found if d["phase"] == "RUNNING" and d["step"] >= 1), None)


def _scale_in(api: Api) -> dict[str, Any]:
    found = api.get(f"/v1/scaling/{GROUP}")
    decisions = [found.get("decision", {}), *found.get("decisions", [])]
    return next((d for d in decisions if d.get("action") == "in"), {})
