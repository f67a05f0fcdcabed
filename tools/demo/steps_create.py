"""Steps 1 to 4: the stack comes up, the example is applied, its traffic ramps, events flow."""

import time
from typing import Any

from localcloud.state import DIRECTORY
from tools.demo.command import headrace, start_headrace
from tools.demo.flow import PIPELINE, Flow
from tools.demo.narrator import Narrator
from tools.demo.waiting import wait_for
from tools.demo.world import Api, Aws, resident_mb, stack_status

READY_S_MAX = 30.0
UP_TIMEOUT_S = 180.0
APPLY_S_MAX = 150.0
RAMP_PERCENTS = (5, 25, 100)
BASE_RATE = 400.0
RAMP_RATE = 300.0
FLOW_S = 15.0
SETTLE_S = 15.0
SLO_LAG_S = 4.0


def start_stack(tell: Narrator) -> bool:
    """Step 1."""
    tell.step(1, "The stack comes up: PostgreSQL, Valkey, Temporal, Kafka, Prometheus, AWS, and Headrace's services")
    answer = headrace("up", "--profile", "demo", timeout_s=UP_TIMEOUT_S)
    for line in answer.text.splitlines():
        tell.say(line.strip())
    if not tell.expect("the stack is ready", seen=answer.code == 0, detail=f"exit code {answer.code}"):
        return False
    took = stack_status().took_s or 0.0
    tell.measure("ready", took, READY_S_MAX, "s")
    tell.say(f"{resident_mb():.0f} MB resident")
    return True


def apply_and_ramp(tell: Narrator, api: Api, aws: Aws, flow: Flow) -> bool:
    """Steps 2 and 3: `headrace apply` waits for both, so the ramp is watched while it runs."""
    tell.step(2, "`headrace apply examples/flights`: an environment, four groups, a pipeline")
    plan = headrace("plan", "examples/flights")
    for line in plan.out.splitlines():
        tell.say(line.rstrip())
    log = DIRECTORY / "logs" / "demo-apply.log"
    applying = start_headrace(["apply", "examples/flights", "--yes"], log)
    up = wait_for(lambda: _pipeline(api).get("phase") in {"RAMPING", "READY"}, APPLY_S_MAX)
    nodes = {group: sum(aws.in_service(group).values()) for group in _groups(api)}
    tell.expect("machines came up as processes, passed health and joined", seen=bool(up), detail=_counts(nodes))
    if not up:
        tell.say(log.read_text()[-2000:])
        return False
    tell.step(3, "Its traffic ramps in phases; the Observer is asked before each")
    seen = _watch_ramp(tell, api, flow)
    code = applying.wait(timeout=APPLY_S_MAX)
    tell.expect("the ramp went 5, 25, 100 %", seen=seen == list(RAMP_PERCENTS), detail=str(seen))
    tell.expect("`headrace apply` ended well", seen=code == 0, detail=f"exit code {code}")
    if code:
        tell.say(log.read_text()[-2000:])
    return code == 0


def _watch_ramp(tell: Narrator, api: Api, flow: Flow) -> list[int]:
    seen: list[int] = []
    flow.replay.rate = RAMP_RATE
    flow.replay.start()
    deadline = time.monotonic() + APPLY_S_MAX
    while time.monotonic() < deadline:
        status = _pipeline(api)
        percent = status.get("ramp_percent") or 0
        if percent and percent not in seen:
            seen.append(percent)
            counts = flow.replay.counts
            tell.say(f"{percent:>3} % of key buckets: {flow.sent:,} events acknowledged, {counts.deferred:,} deferred")
        if status.get("phase") == "READY":
            break
        time.sleep(0.3)
    return seen


def flow_events(tell: Narrator, flow: Flow) -> None:
    """Step 4."""
    tell.step(4, "Real events flow: departures of 2013, in order, event time set at sending, by the batch ingest API")
    flow.replay.rate = BASE_RATE
    since = time.time()
    time.sleep(FLOW_S)
    numbers = flow.stats(since + 2)
    flow.replay.rate = 0
    loss = flow.settled_loss(SETTLE_S)
    flow.replay.rate = BASE_RATE
    lag = numbers["lag_p95_s"]
    tell.say(str(loss))
    tell.expect(
        "nothing acknowledged is missing at the far end (set difference)", seen=loss.missing == 0, detail=str(loss)
    )
    tell.expect(
        f"lag p95 within the SLO of {SLO_LAG_S:g} s",
        seen=lag is not None and lag <= SLO_LAG_S,
        detail=f"p95 {lag:.2f} s, p50 {numbers['lag_p50_s']:.2f} s over {numbers['window']:,} events"
        if lag is not None
        else "nothing arrived",
    )


def _pipeline(api: Api) -> dict[str, Any]:
    found = api.get(f"/v1/pipelines/{PIPELINE}")
    return dict(found.get("status", {}))


def _groups(api: Api) -> list[str]:
    return [g["name"] for g in api.items("/v1/server-groups")]


def _counts(nodes: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(nodes.items()))
