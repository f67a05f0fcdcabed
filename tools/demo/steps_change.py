"""Steps 5 to 7: load rises, a good revision goes out, a bad one is taken back."""

import time
from typing import Any

from tools.demo.command import headrace
from tools.demo.flow import Flow
from tools.demo.narrator import Narrator
from tools.demo.steps_create import BASE_RATE, SETTLE_S, SLO_LAG_S
from tools.demo.waiting import wait_for
from tools.demo.world import Api, Aws

GROUP = "delays"
SURGE = 5.0
SURGE_S_MAX = 60.0
CHANGE_RATE = 1200.0  # while code is rolled out
DEPLOY_S_MAX = 180.0
REFUSED = 3
GOOD, BAD, FOURTH = (f"examples/flights/transforms_{name}" for name in ("v2", "v3_bad", "v4"))


def load_rises(tell: Narrator, api: Api, aws: Aws, flow: Flow) -> None:
    """Step 5."""
    tell.step(5, f"Load rises {SURGE:g}-fold, from {BASE_RATE:g} to {BASE_RATE * SURGE:g} events/s")
    before = sum(aws.in_service(GROUP).values())
    began = time.monotonic()
    flow.replay.rate = BASE_RATE * SURGE
    out = wait_for(lambda: _decision(api, "out"), SURGE_S_MAX)
    tell.expect("the Autoscaler scales out for demand, and says why", seen=bool(out), detail=_why(out))
    refused = headrace("deploy", GROUP, "--code", GOOD)
    for line in refused.text.splitlines()[:8]:
        tell.say(f"  {line}")
    tell.expect(
        "a deployment asked for meanwhile is refused with reasons",
        seen=refused.code == REFUSED,
        detail=f"exit code {refused.code}",
    )
    back = wait_for(lambda: _lag_is_back(api, aws, flow, before), SURGE_S_MAX)
    flow.replay.rate = CHANGE_RATE
    now = sum(aws.in_service(GROUP).values())
    tell.expect(
        f"lag comes back under {SLO_LAG_S:g} s",
        seen=bool(back),
        detail=f"{before} to {now} nodes, p95 {back or 0:.2f} s after {time.monotonic() - began:.0f} s",
    )


def good_revision(tell: Narrator, aws: Aws) -> None:
    """Step 6."""
    tell.step(6, "Revision 2 (good) goes out fleet by fleet, judged at each step")
    began = time.monotonic()
    answer = headrace("deploy", GROUP, "--code", GOOD, "--queue", timeout_s=DEPLOY_S_MAX)
    _tell_lines(tell, answer.text)
    tell.expect("revision 2 is finished", seen=answer.code == 0, detail=f"in {time.monotonic() - began:.0f} s")
    fleets = sorted(aws.fleets(GROUP))
    tell.expect("the old fleet is gone", seen=fleets == [f"{GROUP}-r2"], detail=", ".join(fleets))


def bad_revision(tell: Narrator, api: Api, aws: Aws, flow: Flow) -> None:
    """Step 7."""
    tell.step(7, "Revision 3 (bad: fails a tenth of the events, and is slow) is stopped by the judge")
    began = time.monotonic()
    answer = headrace("deploy", GROUP, "--code", BAD, "--queue", timeout_s=DEPLOY_S_MAX)
    took = time.monotonic() - began
    _tell_lines(tell, answer.text)
    newest = next(iter(api.items("/v1/deployments", group=GROUP)), {})
    tell.expect("it was rolled back by itself", seen=newest.get("phase") == "ROLLED_BACK", detail=_verdict(newest))
    fleets = sorted(aws.fleets(GROUP))
    tell.expect("revision 2 serves alone", seen=fleets == [f"{GROUP}-r2"], detail=", ".join(fleets))
    rate, flow.replay.rate = flow.replay.rate, 0
    loss = flow.settled_loss(SETTLE_S)
    flow.replay.rate = rate
    tell.say(f"harm: {loss.dead:,} events in dead letters; {took:.0f} s from asking to rolled back")
    tell.expect("nothing acknowledged is lost", seen=loss.missing == 0 and loss.dead > 0, detail=str(loss))


def _decision(api: Api, action: str) -> dict[str, Any] | None:
    found = api.get(f"/v1/scaling/{GROUP}")
    decisions = [found.get("decision", {}), *found.get("decisions", [])]
    return next((d for d in decisions if d.get("action") == action), None)


def _why(decision: dict[str, Any] | None) -> str:
    if not decision:
        return "no such decision"
    texts = "; ".join(r["text"] for r in decision.get("reasons", [])[:2])
    return f"{decision['current']} to {decision['wanted']} nodes: {texts}"


def _lag_is_back(api: Api, aws: Aws, flow: Flow, before: int) -> float | None:
    """The far end's lag p95 of the last seconds, once the group has grown and nothing is being scaled."""
    if sum(aws.in_service(GROUP).values()) <= before:
        return None
    if any(a["kind"] == "SCALE_OUT" for a in api.items("/v1/activities", scope=f"group/{GROUP}")):
        return None
    lag = flow.stats(time.time() - 4)["lag_p95_s"]
    return lag if lag is not None and lag <= SLO_LAG_S else None


def _verdict(deployment: dict[str, Any]) -> str:
    reasons = deployment.get("reasons") or [{"text": deployment.get("phase", "no deployment")}]
    return "; ".join(r["text"] for r in reasons[:2])


def _tell_lines(tell: Narrator, text: str) -> None:
    for line in text.splitlines()[-14:]:
        tell.say(f"  {line}")
