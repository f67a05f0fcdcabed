"""The worker side: runs the real workflow classes by activations, forgets them at random, replays their histories.

It does what the SDK's core does between the server and the class: jobs in the order of core, cancels that are answered
at once because of their cancellation type or because what they cancel was never sent, logic flags and patch markers
kept with the history. On replay each command must be the same, byte for byte.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.child_workflow import ChildWorkflowCancellationType
from temporalio.bridge.proto.workflow_activation import (
    NotifyHasPatch,
    RemoveFromCache,
    ResolveActivity,
    ResolveChildWorkflowExecutionStart,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import ActivityCancellationType, QueryResult, WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.common import Priority, RetryPolicy
from temporalio.converter import DataConverter, decode_search_attributes, decode_typed_search_attributes
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstanceDetails
from temporalio.workflow import Info, ParentInfo, RootInfo, _Definition

from tests.sim.temporal import failures
from tests.sim.temporal.activities import cancellation

if TYPE_CHECKING:
    from tests.sim.temporal.run import Run, Task

RANK = {"initialize_workflow": 0, "notify_has_patch": 1, "update_random_seed": 2, "signal_workflow": 3, "do_update": 3}
ACTIVATIONS_MAX = 100  # within one workflow task
logging.getLogger("temporalio.worker._workflow_instance").setLevel(logging.CRITICAL)  # failures are told by `Worked`


@dataclass
class Recorded:
    """One accepted workflow task: its activations with the bytes of what they commanded, for replay."""

    activations: list[tuple[WorkflowActivation, list[bytes]]] = field(default_factory=list)
    patches: list[str] = field(default_factory=list)


@dataclass
class Worked:
    """What became of a task; with a `failure` nothing else counts."""

    commands: list[WorkflowCommand] = field(default_factory=list)
    recorded: Recorded = field(default_factory=Recorded)
    flags: set[int] = field(default_factory=set)
    answered_activities: list[int] = field(default_factory=list)
    answered_children: list[int] = field(default_factory=list)
    failure: Failure | None = None


class Interpreter:
    """All workflow workers of a server; `replays` counts replayed tasks."""

    def __init__(self, namespace: str, converter: DataConverter) -> None:
        self._namespace, self._converter = namespace, converter
        payloads = converter.payload_converter  # what it knows of types is worked out once, and not for each instance
        self._payloads = lambda: payloads
        self._runner = UnsandboxedWorkflowRunner()
        self.replays = 0

    # ---------------------------------------------------------------------------------------------------------- tasks

    def work(self, run: "Run", life: Any, task: "Task") -> Worked:
        """Run the class over the task's jobs; never raises."""
        if run.instance is not None and (run.instance_life is not life or run.server.conditions.evicts()):
            self.forget(run)
        worked = Worked(flags=set(run.flags))
        if run.instance is None:
            worked.failure = self._revive(run, life)
            if worked.failure is not None:
                return worked
        jobs = sorted(
            task.jobs + [u.job() for u in task.updates], key=lambda j: RANK.get(j.WhichOneof("variant") or "", 4)
        )
        for _ in range(ACTIVATIONS_MAX):
            if not jobs:
                break
            activation = self._activation(run, jobs, task.history_length, worked.flags)
            completion = self.activate(run, activation)
            if completion.HasField("failed"):
                worked.failure = completion.failed.failure
                return worked
            worked.flags.update(completion.successful.used_internal_flags)
            commanded = list(completion.successful.commands)
            self._record(worked.recorded, activation, commanded)
            jobs = self._core(run, worked, commanded)
        for activation, _ in worked.recorded.activations:
            del activation.available_internal_flags[:]
            activation.available_internal_flags.extend(sorted(worked.flags))
        return worked

    def _activation(
        self, run: "Run", jobs: Sequence[WorkflowActivationJob], length: int, flags: set[int]
    ) -> WorkflowActivation:
        activation = WorkflowActivation(
            run_id=run.run_id,
            jobs=jobs,
            history_length=length,
            history_size_bytes=run.history.size,
            continue_as_new_suggested=run.history.too_long or run.server.suggests_continue(run),
            available_internal_flags=sorted(flags),
        )
        activation.timestamp.FromNanoseconds(round(run.server.now() * 1e6) * 1000)
        return activation

    def activate(self, run: "Run", activation: WorkflowActivation) -> WorkflowActivationCompletion:
        """The instance sets itself as the running loop and leaves none behind: put ours back."""
        loop = asyncio.get_running_loop()
        try:
            completion: WorkflowActivationCompletion = run.instance.activate(activation)
        finally:
            asyncio._set_running_loop(loop)
        return completion

    def _record(self, recorded: Recorded, activation: WorkflowActivation, commanded: Sequence[WorkflowCommand]) -> None:
        """A rejected update leaves nothing behind, so on replay it has never been."""
        rejected = {
            c.update_response.protocol_instance_id for c in commanded if c.update_response.HasField("rejected")
        } & {j.do_update.id for j in activation.jobs if j.HasField("do_update")}
        rejected -= {
            c.update_response.protocol_instance_id for c in commanded if c.update_response.HasField("accepted")
        }
        kept = WorkflowActivation()
        kept.CopyFrom(activation)
        kept.is_replaying = True
        del kept.jobs[:]
        for job in activation.jobs:
            if job.HasField("do_update"):
                if job.do_update.id in rejected:
                    continue
                again = kept.jobs.add()
                again.CopyFrom(job)
                again.do_update.run_validator = False
            else:
                kept.jobs.append(job)
        if kept.jobs:
            said = [
                c.SerializeToString(deterministic=True)
                for c in commanded
                if c.update_response.protocol_instance_id not in rejected
            ]
            recorded.activations.append((kept, said))
        recorded.patches.extend(c.set_patch_marker.patch_id for c in commanded if c.HasField("set_patch_marker"))

    # ----------------------------------------------------------------------------------------------------------- core

    def _core(self, run: "Run", worked: Worked, commanded: Sequence[WorkflowCommand]) -> list[WorkflowActivationJob]:
        """Take over what an activation commanded; gives the jobs that core answers by itself, within the same task."""
        jobs: list[WorkflowActivationJob] = []
        out = worked.commands
        for command in commanded:
            match command.WhichOneof("variant"):
                case "cancel_timer":
                    seq = command.cancel_timer.seq
                    if not _take_back(out, "start_timer", seq):
                        out.append(command)
                case "request_cancel_activity":
                    jobs += self._cancel_activity(run, worked, command)
                case "cancel_child_workflow_execution":
                    jobs += self._cancel_child(run, worked, command)
                case "cancel_signal_workflow":
                    seq = command.cancel_signal_workflow.seq
                    if _take_back(out, "signal_external_workflow_execution", seq):
                        failure = failures.cancelled("Signal was cancelled before being sent")
                        job = WorkflowActivationJob()
                        job.resolve_signal_external_workflow.seq = seq
                        job.resolve_signal_external_workflow.failure.CopyFrom(failure)
                        jobs.append(job)
                case _:
                    out.append(command)
        return jobs

    def _cancel_activity(self, run: "Run", worked: Worked, command: WorkflowCommand) -> list[WorkflowActivationJob]:
        seq, kinds = command.request_cancel_activity.seq, ActivityCancellationType
        taken = _take_back(worked.commands, "schedule_activity", seq)
        if taken is not None:
            resolve = ResolveActivity(seq=seq, result=cancellation(taken.schedule_activity, 0))
            return [WorkflowActivationJob(resolve_activity=resolve)]
        activity = run.activities_ever[seq]
        kind = activity.asked.cancellation_type
        if kind != kinds.ABANDON:
            worked.commands.append(command)
        if kind == kinds.WAIT_CANCELLATION_COMPLETED:
            return []
        worked.answered_activities.append(seq)
        resolve = ResolveActivity(seq=seq, result=cancellation(activity.asked, activity.scheduled_id))
        return [WorkflowActivationJob(resolve_activity=resolve)]

    def _cancel_child(self, run: "Run", worked: Worked, command: WorkflowCommand) -> list[WorkflowActivationJob]:
        seq, kinds = command.cancel_child_workflow_execution.child_workflow_seq, ChildWorkflowCancellationType
        taken = _take_back(worked.commands, "start_child_workflow_execution", seq)
        if taken is not None:
            asked = taken.start_child_workflow_execution
            failure = failures.of_child(
                "Child Workflow execution cancelled before scheduled",
                failures.cancelled(),
                self._namespace,
                WorkflowExecution(workflow_id=asked.workflow_id),
                asked.workflow_type,
                0,
                0,
            )
            start = ResolveChildWorkflowExecutionStart(seq=seq, cancelled={"failure": failure})  # type: ignore[arg-type]
            return [WorkflowActivationJob(resolve_child_workflow_execution_start=start)]
        child = run.children_ever[seq]
        kind = child.asked.cancellation_type
        if kind != kinds.ABANDON:
            worked.commands.append(command)
        if kind in {kinds.WAIT_CANCELLATION_COMPLETED, kinds.WAIT_CANCELLATION_REQUESTED}:
            return []
        worked.answered_children.append(seq)
        job = WorkflowActivationJob()
        failure = failures.of_child(
            "Child Workflow execution canceled",
            failures.cancelled(),
            self._namespace,
            child.execution,
            child.asked.workflow_type,
            child.initiated_id,
            child.started_id,
        )
        job.resolve_child_workflow_execution.seq = seq
        job.resolve_child_workflow_execution.result.cancelled.failure.CopyFrom(failure)
        return [job]

    # --------------------------------------------------------------------------------------------------------- replay

    def forget(self, run: "Run") -> None:
        """Evict it: what the class held is gone, its `finally` blocks run and nothing comes of them."""
        if run.instance is not None:
            job = WorkflowActivationJob(remove_from_cache=RemoveFromCache(message="evicted"))
            self.activate(run, WorkflowActivation(run_id=run.run_id, jobs=[job]))
            run.instance = run.instance_life = None

    def _revive(self, run: "Run", life: Any) -> Failure | None:
        """A new instance that has been through the whole history; a Failure when it is not the same any more."""
        definition = run.server.definition(run.queue, run.kind)
        run.instance = self._runner.create_instance(self._details(run, definition))
        run.instance_life = life
        for number, recorded in enumerate(run.recorded, start=1):
            for place, (activation, before) in enumerate(recorded.activations):
                given = activation
                if recorded.patches and place == 0:
                    given = WorkflowActivation()
                    given.CopyFrom(activation)
                    del given.jobs[:]
                    noted = [
                        WorkflowActivationJob(notify_has_patch=NotifyHasPatch(patch_id=p)) for p in recorded.patches
                    ]
                    jobs = [*activation.jobs, *noted]
                    given.jobs.extend(sorted(jobs, key=lambda j: RANK.get(j.WhichOneof("variant") or "", 4)))
                completion = self.activate(run, given)
                if completion.HasField("failed"):
                    return self._differs(run, number, completion.failed.failure.message)
                after = [c.SerializeToString(deterministic=True) for c in completion.successful.commands]
                if after != before:
                    return self._differs(run, number, _difference(before, after))
            self.replays += 1
        return None

    def _differs(self, run: "Run", number: int, how: str) -> Failure:
        text = f"{run.kind} {run.id}: replay differs at workflow task {number} of {len(run.recorded)}: {how}"
        run.server.replay_differs(run, text)
        return Failure(message=text, source="Nondeterminism")

    def query(self, run: "Run", life: Any, job: WorkflowActivationJob) -> QueryResult:
        """Ask an instance, made anew if it was forgotten; a query leaves nothing behind."""
        if run.instance is not None and run.instance_life is not life:
            self.forget(run)
        failure = self._revive(run, life) if run.instance is None else None
        if failure is None:
            activation = self._activation(run, [job], len(run.history.events), run.flags)
            completion = self.activate(run, activation)
            if not completion.HasField("failed"):
                answer: QueryResult = completion.successful.commands[0].respond_to_query
                return answer
            failure = completion.failed.failure
        return QueryResult(query_id=job.query_workflow.query_id, failed=failure)

    def verify(self, run: "Run") -> None:
        """Replay a run that has closed; a difference is told like any."""
        if run.recorded:
            self._revive(run, None)
            self.forget(run)

    def _details(self, run: "Run", definition: _Definition) -> WorkflowInstanceDetails:
        init = run.init
        return WorkflowInstanceDetails(
            payload_converter_factory=self._payloads,
            failure_converter_class=self._converter.failure_converter_class,
            interceptor_classes=[],
            defn=definition,
            info=self._info(run),
            randomness_seed=init.randomness_seed,
            extern_functions={},
            disable_eager_activity_execution=True,
            worker_level_failure_exception_types=[],
            patch_activation_callback=None,
            last_completion_result=Payloads(),
            last_failure=None,
        )

    def _info(self, run: "Run") -> Info:
        init = run.init
        started = init.start_time.ToDatetime().replace(tzinfo=UTC)
        parent = init.parent_workflow_info
        return Info(
            attempt=init.attempt,
            continued_run_id=init.continued_from_execution_run_id or None,
            cron_schedule=None,
            execution_timeout=init.workflow_execution_timeout.ToTimedelta()
            if init.HasField("workflow_execution_timeout")
            else None,
            first_execution_run_id=init.first_execution_run_id,
            headers=_plain(init.headers),
            namespace=self._namespace,
            original_execution_run_id=run.run_id,
            parent=ParentInfo(namespace=parent.namespace, run_id=parent.run_id, workflow_id=parent.workflow_id)
            if init.HasField("parent_workflow_info")
            else None,
            root=RootInfo(run_id=init.root_workflow.run_id, workflow_id=init.root_workflow.workflow_id)
            if init.HasField("root_workflow")
            else None,
            priority=Priority.default,
            raw_memo=_plain(init.memo.fields),
            retry_policy=RetryPolicy.from_proto(init.retry_policy) if init.HasField("retry_policy") else None,
            run_id=run.run_id,
            run_timeout=init.workflow_run_timeout.ToTimedelta() if init.HasField("workflow_run_timeout") else None,
            search_attributes=decode_search_attributes(init.search_attributes),
            start_time=started,
            task_queue=run.queue,
            task_timeout=init.workflow_task_timeout.ToTimedelta(),
            typed_search_attributes=decode_typed_search_attributes(init.search_attributes),
            workflow_id=run.id,
            workflow_start_time=started,
            workflow_type=run.kind,
        )


def _plain(of: Mapping[str, Any]) -> dict[str, Any]:
    return dict(of)


def _take_back(commands: list[WorkflowCommand], variant: str, seq: int) -> WorkflowCommand | None:
    """A command that was not sent yet."""
    for place, command in enumerate(commands):
        if command.WhichOneof("variant") == variant and getattr(command, variant).seq == seq:
            return commands.pop(place)
    return None


def _difference(before: Sequence[bytes], after: Sequence[bytes]) -> str:
    def names(commands: Sequence[bytes]) -> str:
        return ", ".join(WorkflowCommand.FromString(c).WhichOneof("variant") or "?" for c in commands) or "nothing"

    for number, (was, now) in enumerate(zip(before, after, strict=False), start=1):
        if was != now:
            return f"command {number} was {WorkflowCommand.FromString(was)} and is {WorkflowCommand.FromString(now)}"
    return f"commands were {names(before)} and are {names(after)}"
