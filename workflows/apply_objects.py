"""ApplyObjects: carries a plan out, object by object, in the order in which objects stand on one another.

Each object is a child workflow that asks for admission itself, is idempotent and undoes itself; this one only orders
them. What stands on something that failed is skipped, and says on what. Nothing is destroyed after a failure.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from shared.contracts import queues
from shared.contracts.apply import ApplyInput, ObjectProgress
from shared.contracts.base import Contract, ReasonModel
from shared.contracts.provisioning import DestroyInput, OperationResult
from shared.temporal.errors import error_reasons, error_text

CHILDREN_CONCURRENT_MAX = 8
DESTROY_ORDER = ("pipeline", "server-group", "environment")
STATE = {"done": "done", "refused": "refused", "cancelled": "cancelled"}  # of an OperationResult; others: failed


@workflow.defn(name="ApplyObjects")
class ApplyObjects:
    """One run applies one plan."""

    @workflow.init
    def __init__(self, apply: ApplyInput) -> None:
        """Every object waits at first, so that progress shows the whole plan from the start."""
        self._progress: dict[str, ObjectProgress] = {name: ObjectProgress(object=name) for name in _names(apply)}
        self._reasons: list[ReasonModel] = []
        self._slots = asyncio.Semaphore(CHILDREN_CONCURRENT_MAX)

    @workflow.query
    def progress(self) -> list[ObjectProgress]:
        """Every object of the plan, in order."""
        return list(self._progress.values())

    @workflow.run
    async def run(self, apply: ApplyInput) -> OperationResult:
        """Environments, groups, deployments, pipelines, destroys."""
        try:
            await self._carry_out(apply)
        except asyncio.CancelledError:
            for waiting in [p.object for p in self._progress.values() if p.state == "waiting"]:
                self._set(waiting, "cancelled", "the plan was cancelled before this was begun")
            raise
        return self._result()

    async def _carry_out(self, apply: ApplyInput) -> None:
        await _all(
            self._child("BuildEnvironment", queues.environment_id(e.spec.name), f"environment/{e.spec.name}", e)
            for e in apply.environments
        )
        await _all(
            self._child(
                "ProvisionGroup",
                queues.provision_id("server-group", g.spec.name),
                f"server-group/{g.spec.name}",
                g,
                stands_on=[f"environment/{g.spec.environment}"],
            )
            for g in apply.groups
        )
        await _all(
            self._child(
                "DeployGroup",
                queues.deploy_id(d.group),
                f"deployment/{d.group}",
                d,
                stands_on=[f"server-group/{d.group}", f"environment/{d.environment}"],
            )
            for d in apply.deploys
        )
        await _all(
            self._child(
                "ProvisionPipeline",
                queues.provision_id("pipeline", p.spec.name),
                f"pipeline/{p.spec.name}",
                p,
                stands_on=[f"server-group/{s.group}" for s in p.spec.stages],
            )
            for p in apply.pipelines
        )
        await self._destroy(apply.destroys)

    async def _destroy(self, destroys: Sequence[DestroyInput]) -> None:
        for kind in DESTROY_ORDER:
            wanted = [d for d in destroys if d.kind == kind]
            if self._bad():
                for d in wanted:
                    self._set(f"{kind}/{d.name}", "skipped", "something before it did not succeed; nothing was deleted")
                continue
            await _all(
                self._child("DestroyObject", queues.destroy_id(kind, d.name), f"{kind}/{d.name}", d) for d in wanted
            )

    async def _child(self, kind: str, child_id: str, name: str, value: Contract, stands_on: Sequence[str] = ()) -> None:
        broken = [s for s in stands_on if s in self._progress and self._progress[s].state != "done"]
        if broken:
            self._set(name, "skipped", f"it stands on {', '.join(broken)}")
            return
        async with self._slots:
            self._set(name, "running", f"{kind} runs as {child_id}", child_id)
            try:
                result = await workflow.execute_child_workflow(
                    kind,
                    value,
                    id=child_id,
                    result_type=OperationResult,
                    task_queue=queues.WORKFLOWS,
                    parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    static_summary=name,
                )
            except WorkflowAlreadyStartedError:
                self._set(name, "refused", f"another operation works on it ({child_id}): wait for it, then apply again")
            except ChildWorkflowError as e:
                if is_cancelled_exception(e):
                    self._set(name, "cancelled", "cancelled; what it had begun was undone")
                    if workflow.cancellation_reason() is not None:  # the whole plan, not this object alone
                        raise
                    return
                self._reasons.extend(error_reasons(e))
                self._set(name, "failed", error_text(e))
            else:
                self._reasons.extend(result.reasons)
                self._set(name, STATE.get(result.outcome, "failed"), result.text or result.outcome.replace("_", " "))

    def _set(self, name: str, state: str, text: str, workflow_id: str = "") -> None:
        said = {"object": name, "state": state, "text": text, "workflow_id": workflow_id}
        self._progress[name] = ObjectProgress.model_validate(said)
        workflow.set_current_details("\n".join(f"{p.object}: {p.state} {p.text}" for p in self._progress.values()))

    def _bad(self) -> list[ObjectProgress]:
        return [p for p in self._progress.values() if p.state in {"refused", "failed", "skipped", "cancelled"}]

    def _result(self) -> OperationResult:
        bad = self._bad()
        done = sum(p.state == "done" for p in self._progress.values())
        details = {p.object: f"{p.state}: {p.text}" for p in self._progress.values()}
        if not bad:
            return OperationResult(outcome="done", text=f"{done} objects applied", details=details)
        return OperationResult(
            outcome="refused" if all(p.state in {"refused", "skipped"} for p in bad) else "failed",
            text=f"{done} of {len(self._progress)} objects applied; " + "; ".join(f"{p.object}: {p.text}" for p in bad),
            reasons=tuple(self._reasons),
            details=details,
        )


def _names(apply: ApplyInput) -> list[str]:
    return [
        *(f"environment/{e.spec.name}" for e in apply.environments),
        *(f"server-group/{g.spec.name}" for g in apply.groups),
        *(f"deployment/{d.group}" for d in apply.deploys),
        *(f"pipeline/{p.spec.name}" for p in apply.pipelines),
        *(f"{kind}/{d.name}" for kind in DESTROY_ORDER for d in apply.destroys if d.kind == kind),
    ]


async def _all(children: Iterable[Awaitable[None]]) -> None:
    """Run them together; each ends before the first failure goes on, so that nothing runs behind our back."""
    for ended in await asyncio.gather(*children, return_exceptions=True):
        if ended is not None:
            raise ended
