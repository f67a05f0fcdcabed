"""Scripts for the contract: a workflow that does what it is told, activities that behave as told, and someone who acts.

The same script runs in the interpreter and on the real server; what must be alike is `events`, the history without what
depends on speed (workflow tasks, ids, times, identities). Scripts are drawn from a seed; where something outside acts, it
waits until the workflow says that it is there, so that order follows from cause and not from speed.
"""

import asyncio
import re
from datetime import timedelta
from random import Random
from typing import Any

from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import RetryPolicy, SearchAttributeKey, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError
from temporalio.service import RPCError
from temporalio.workflow import ActivityCancellationType, ChildWorkflowCancellationType, ParentClosePolicy

STARTED_S = 1.5  # in which an activity or a child has surely been started
APART_S = 0.7  # between ends of what runs side by side
LONG_S = 300.0
HEARD_S = 3.0  # in which a cancel has surely reached an activity
WAITS = "WAIT_CANCELLATION_COMPLETED"
LOOK_S = 0.1
ENDED_S_MAX = 90.0
ATTRIBUTE = SearchAttributeKey.for_keyword("HeadracePhase")
Step = dict[str, Any]


# ---------------------------------------------------------------------------------------------------------- activities


@activity.defn(name="behave")
async def behave(how: str, seconds: float) -> str:
    attempt = activity.info().attempt
    if how == "fail" or (how == "fail once" and attempt == 1):
        raise ApplicationError(f"failed at {attempt}", type="Trouble")
    if how == "refuse":
        raise ApplicationError("refused", type="Refused", non_retryable=True)
    if how == "later" and attempt == 1:
        raise ApplicationError("not yet", type="Later", next_retry_delay=timedelta(seconds=0.2))
    if how == "hang":
        await asyncio.sleep(LONG_S)
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        if how in {"beat", "stubborn"}:
            activity.heartbeat(how)
        try:
            await asyncio.sleep(min(0.1, seconds))
        except asyncio.CancelledError:
            if how != "stubborn":
                raise
            return "done all the same"
    return f"{how} at {attempt}"


# ----------------------------------------------------------------------------------------------------------- workflows


@workflow.defn(name="Script", sandboxed=False)
class Script:
    """Does the steps; `notes` say what came of each."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.mark = ""
        self.signals: list[str] = []

    @workflow.signal
    def tell(self, what: str) -> None:
        self.signals.append(what)

    @workflow.query
    def where(self) -> str:
        return self.mark

    @workflow.update
    async def ask(self, what: str) -> str:
        await workflow.sleep(0.1)
        if what == "fail":
            raise ApplicationError("asked to fail", type="Asked")
        self.signals.append(what)
        return f"heard {what}"

    @ask.validator
    def check(self, what: str) -> None:
        if what == "bad":
            raise ApplicationError("bad", type="Invalid")

    @workflow.run
    async def run(self, steps: list[Step]) -> list[str]:
        for step in steps:
            try:
                self.notes.append(await self.do(step))
                await self.left_behind(step)
            except asyncio.CancelledError:
                self.notes.append("cancelled")
                if not step.get("goes on") and "cancel" not in step:
                    raise
            except FailureError as e:
                self.notes.append(f"{type(e).__name__} of {type(e.__cause__).__name__}: {e.__cause__}")
                if step["op"] == "fail":
                    raise
                await self.left_behind(step)
        return self.notes

    async def left_behind(self, step: Step) -> None:
        """Let what was cancelled, and not waited for, hear of it before anything else happens."""
        if "cancel" in step and step.get("cancellation", WAITS) != WAITS:
            await workflow.sleep(HEARD_S)

    async def do(self, step: Step) -> str:  # noqa: C901, PLR0912  one case for each word of a script
        match step["op"]:
            case "sleep":
                await workflow.sleep(step["s"])
            case "drop timer":
                timer = asyncio.create_task(workflow.sleep(LONG_S))
                await workflow.sleep(step["s"])
                timer.cancel()
            case "drop at once":
                timer = asyncio.create_task(workflow.sleep(LONG_S))
                await asyncio.sleep(0)
                timer.cancel()
            case "act":
                return await self.act(step)
            case "all":
                return " | ".join(
                    str(r) for r in await asyncio.gather(*(self.act(s) for s in step["of"]), return_exceptions=True)
                )
            case "child":
                return await self.child(step)
            case "await":
                count = step["count"]
                await workflow.wait_condition(lambda: len(self.signals) >= count)
                return ",".join(self.signals)
            case "mark":
                self.mark = step["name"]
            case "patch":
                return str(workflow.patched(step["name"]))
            case "memo":
                workflow.upsert_memo({"note": step["name"]})
            case "attribute":
                workflow.upsert_search_attributes([ATTRIBUTE.value_set(step["name"])])
            case "signal nobody":
                await workflow.get_external_workflow_handle("nobody").signal("tell", "hello")
            case "cancel nobody":
                await workflow.get_external_workflow_handle("nobody").cancel()
            case "continue":
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new([{"op": "sleep", "s": 0.1}, {"op": "act", "how": "ok"}])
            case "fail":
                raise ApplicationError("the script fails", type="Scripted", non_retryable=True)
            case unknown:
                raise AssertionError(unknown)
        return str(step["op"])

    async def act(self, step: Step) -> str:
        kind = step.get("cancellation", "WAIT_CANCELLATION_COMPLETED")
        handle = workflow.start_activity(
            behave,
            args=[step["how"], step.get("s", 0.0)],
            start_to_close_timeout=timedelta(seconds=step.get("limit", 60.0)),
            schedule_to_close_timeout=timedelta(seconds=step["total"]) if "total" in step else None,
            heartbeat_timeout=timedelta(seconds=step["heartbeat"]) if "heartbeat" in step else None,
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=step.get("again", 0.1)), maximum_attempts=step.get("attempts", 2)
            ),
            cancellation_type=ActivityCancellationType[kind],
        )
        if "cancel" in step:
            if step["cancel"]:
                await workflow.sleep(step["cancel"])
            handle.cancel()
        return await handle

    async def child(self, step: Step) -> str:
        handle = await workflow.start_child_workflow(
            Script.run,
            step["steps"],
            id=f"{workflow.info().workflow_id}/{step['name']}",
            cancellation_type=ChildWorkflowCancellationType[step.get("cancellation", "WAIT_CANCELLATION_COMPLETED")],
            parent_close_policy=ParentClosePolicy[step.get("policy", "TERMINATE")],
            id_reuse_policy=WorkflowIDReusePolicy[step.get("reuse", "ALLOW_DUPLICATE")],
        )
        if step.get("left"):
            return "left"
        if step.get("told"):
            await handle.signal("tell", "from above")
        if "cancel" in step:
            await workflow.sleep(step["cancel"])
            handle.cancel()
        return ",".join(await handle)


# -------------------------------------------------------------------------------------------------------------- seeds

ACTS: tuple[Step, ...] = (
    {"op": "act", "how": "ok"},
    {"op": "act", "how": "fail once"},
    {"op": "act", "how": "later"},
    {"op": "act", "how": "fail", "attempts": 2},
    {"op": "act", "how": "refuse", "attempts": 5},
    {"op": "act", "how": "hang", "limit": 1.0, "attempts": 2},
    {"op": "act", "how": "hang", "limit": 1.0, "total": 1.4, "attempts": 0, "again": 5.0},
    {"op": "act", "how": "hang", "total": 1.0, "attempts": 0},
    {"op": "act", "how": "hang", "heartbeat": 1.0, "attempts": 1},
    {"op": "act", "how": "fail", "total": 2.0, "attempts": 0, "again": 5.0},
    {"op": "act", "how": "beat", "s": 0.5, "heartbeat": 1.0},
    *(
        {"op": "act", "how": how, "s": 30.0, "heartbeat": 2.0, "cancel": STARTED_S, "cancellation": kind}
        for how in ("beat", "stubborn")
        for kind in ("TRY_CANCEL", "WAIT_CANCELLATION_COMPLETED", "ABANDON")
    ),
    {"op": "act", "how": "ok", "s": 3.0, "cancel": STARTED_S},  # does not hear of it
    {"op": "act", "how": "fail", "again": 60.0, "attempts": 3, "cancel": STARTED_S},  # between two attempts
    *({"op": "act", "how": "ok", "cancel": 0.0, "cancellation": k} for k in ("TRY_CANCEL", "ABANDON")),
    {"op": "act", "how": "ok", "cancel": 0.0},
)
CHILDREN: tuple[Step, ...] = (
    {"op": "child", "steps": [{"op": "sleep", "s": 0.1}]},
    {"op": "child", "steps": [{"op": "fail"}]},
    {"op": "child", "steps": [{"op": "await", "count": 1}], "told": True},
    {"op": "child", "steps": [{"op": "continue"}]},
    {"op": "child", "steps": [{"op": "sleep", "s": 0.1}], "reuse": "REJECT_DUPLICATE", "name": "same"},
    *(
        {"op": "child", "steps": [{"op": "sleep", "s": 30.0}], "cancel": STARTED_S, "cancellation": kind}
        for kind in ("TRY_CANCEL", "WAIT_CANCELLATION_COMPLETED", "ABANDON", "WAIT_CANCELLATION_REQUESTED")
    ),
    *(
        {"op": "child", "steps": [{"op": "sleep", "s": 30.0}], "left": True, "policy": policy}
        for policy in ("TERMINATE", "ABANDON", "REQUEST_CANCEL")
    ),
)
OTHERS: tuple[Step, ...] = (
    {"op": "sleep", "s": 0.2},
    {"op": "drop timer", "s": 0.2},
    {"op": "drop at once"},
    {"op": "patch", "name": "p"},
    {"op": "memo", "name": "n"},
    {"op": "attribute", "name": "n"},
    {"op": "signal nobody"},
    {"op": "cancel nobody"},
)
LONG: tuple[Step, ...] = (
    {"op": "sleep", "s": LONG_S},
    {"op": "act", "how": "beat", "s": LONG_S, "heartbeat": 2.0},
    {"op": "act", "how": "stubborn", "s": LONG_S, "heartbeat": 2.0},
    {"op": "act", "how": "beat", "s": LONG_S, "heartbeat": 2.0, "goes on": True},
    {"op": "child", "steps": [{"op": "sleep", "s": LONG_S}]},
    {"op": "await", "count": 9},
)
DEEDS = ("cancel", "signals", "terminate", "update", "update fails", "update refused")


def script(seed: int) -> tuple[list[Step], str]:
    """Steps, and what somebody does once the workflow is at its mark ("" for nothing)."""
    random = Random(f"{seed}/script")
    steps: list[Step] = []
    for number in range(random.randint(1, 3)):
        kind = random.choice(("act", "act", "act", "child", "child", "other", "all"))
        match kind:
            case "act":
                step = random.choice(ACTS)
            case "child":
                step = random.choice(CHILDREN)
            case "other":
                step = random.choice(OTHERS)
            case _:
                apart = random.sample(range(3), 3)
                step = {"op": "all", "of": [{"op": "act", "how": "ok", "s": APART_S * n} for n in apart]}
        steps.append({"name": f"{step['op']}-{number}"} | step)
    if any(s.get("name") == "same" for s in steps):
        steps.append(next(s for s in steps if s.get("name") == "same"))
    deed = random.choice(("", *DEEDS))
    if deed:
        steps.append({"op": "mark", "name": "here"})
        if deed in {"signals", "update", "update fails", "update refused"}:
            steps.append({"op": "await", "count": {"signals": 3, "update": 1}.get(deed, 1)})
        else:
            steps.append({"name": "long"} | random.choice(LONG))
    if random.random() < 0.2:
        steps.append({"op": random.choice(("fail", "continue"))})
    return steps, deed


# -------------------------------------------------------------------------------------------------------------- acting


async def acted(client: Client, queue: str, seed: int) -> WorkflowHandle[Any, Any]:
    """Run a script to its end."""
    steps, deed = script(seed)
    try:
        handle = await client.start_workflow(Script.run, steps, id=f"script-{seed}", task_queue=queue)
    except WorkflowAlreadyStartedError as e:
        raise AssertionError(seed) from e
    async with asyncio.timeout(ENDED_S_MAX):
        if deed:
            while await looked(handle) != "here":  # noqa: ASYNC110  a query is all there is to ask with
                await asyncio.sleep(LOOK_S)
            await asyncio.sleep(STARTED_S)
            await done(handle, deed)
        try:
            await handle.result()
        except Exception as e:
            assert type(e).__name__ == "WorkflowFailureError", (seed, e)  # noqa: PT017
    return handle


async def looked(handle: WorkflowHandle[Any, Any]) -> str:
    try:
        return str(await handle.query(Script.where))
    except RPCError:
        return ""


async def done(handle: WorkflowHandle[Any, Any], deed: str) -> None:
    match deed:
        case "cancel":
            await handle.cancel()
        case "terminate":
            await handle.terminate("scripted")
        case "signals":
            for word in ("a", "b", "c"):
                await handle.signal(Script.tell, word)
        case "update":
            assert await handle.execute_update(Script.ask, "x", id="u") == "heard x"
        case _:
            try:
                await handle.execute_update(Script.ask, "fail" if deed == "update fails" else "bad", id="u")
            except WorkflowUpdateFailedError:
                await handle.signal(Script.tell, "enough")


# ------------------------------------------------------------------------------------------------------------ comparing


def events(history: list[HistoryEvent]) -> list[str]:
    """What happened, one line each, without what depends on speed."""
    lines: list[str] = []
    attempts: dict[int, int] = {}
    for event in history:
        kind = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        if kind == "ACTIVITY_TASK_STARTED":  # told with its end: between the two others may end
            started = event.activity_task_started_event_attributes
            attempts[event.event_id] = started.attempt
            continue
        if not kind.startswith("WORKFLOW_TASK_"):
            attributes = getattr(event, event.WhichOneof("attributes") or "")
            began = getattr(attributes, "started_event_id", 0) if kind.startswith("ACTIVITY_TASK_") else 0
            attempt = f" attempt {attempts[began]}" if began else ""
            lines.append(f"{kind} {told(attributes)}{attempt}".strip())
    return lines


def told(attributes: Any) -> str:
    parts: list[str] = []
    for field, value in attributes.ListFields():
        match field.name:
            case "activity_type" | "workflow_type":
                parts.append(value.name)
            case (
                "activity_id" | "timer_id" | "signal_name" | "attempt" | "retry_state" | "cause" | "marker_name"
                | "parent_close_policy" | "child_workflow_only"
            ):  # fmt: skip
                parts.append(f"{field.name}={value}")
            case "reason":
                parts.append(re.sub(r"run id \S+", "run id ?", value))
            case "failure":
                parts.append(of_failure(value))
            case "result" | "input":
                parts.append(b" ".join(p.data for p in value.payloads).decode())
            case "outcome":
                parts.append(of_failure(value.failure) if value.HasField("failure") else "success")
            case "upserted_memo":
                parts.append(",".join(sorted(value.fields)))
            case "search_attributes":
                parts.append(",".join(sorted(k for k in value.indexed_fields if k.startswith("Headrace"))))
            case _:
                pass
    return " ".join(part for part in parts if part)


def of_failure(failure: Failure) -> str:
    info = failure.WhichOneof("failure_info") or ""
    about = {
        "application_failure_info": failure.application_failure_info.type,
        "timeout_failure_info": str(failure.timeout_failure_info.timeout_type),
    }.get(info, "")
    inner = f" <- {of_failure(failure.cause)}" if failure.HasField("cause") else ""
    return f"[{info.removesuffix('_failure_info')} {about} {failure.message!r}{inner}]"
