"""One run of a workflow as the server keeps it: history, what is pending, and its workflow tasks.

While a workflow task is with a worker, what happens meanwhile is held back and written after it, ends of activities and
children last, as the real server does. A task that would end the run while something is held back is refused and done
anew with the news in it; so is one whose worker died. That is where cancels and signals meet the end of a run.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Memo, Payload, SearchAttributes, WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.workflow_activation import InitializeWorkflow, WorkflowActivationJob

from tests.sim.temporal import commands
from tests.sim.temporal.activities import Activity
from tests.sim.temporal.children import Child
from tests.sim.temporal.conditions import Host
from tests.sim.temporal.history import History
from tests.sim.temporal.updates import Update
from tests.sim.temporal.worker import Recorded, Worked

if TYPE_CHECKING:
    from tests.sim.temporal.server import SimTemporal

Write = Callable[[History], WorkflowActivationJob | None]
TASK_S_MAX = 10.0  # a worker that does not answer for so long has lost the task
POLL_AGAIN_S = 0.5
AGAIN_S_FIRST, AGAIN_S_MAX = 1.0, 10.0  # after a failed workflow task
STATUS = WorkflowExecutionStatus
CLOSING = frozenset(
    {
        "complete_workflow_execution",
        "fail_workflow_execution",
        "cancel_workflow_execution",
        "continue_as_new_workflow_execution",
    }
)


@dataclass(eq=False)
class Task:
    """A workflow task that a worker has."""

    jobs: list[WorkflowActivationJob]
    updates: list[Update]
    attempt: int
    history_length: int
    limit: asyncio.TimerHandle | None = None


@dataclass(eq=False)
class Parent:
    """Who is told how it ended."""

    run: "Run"
    child: Child


@dataclass(eq=False)
class Run:
    """`begin` schedules its first task; `ended` is set when it has closed, however."""

    server: "SimTemporal"
    id: str
    run_id: str
    queue: str
    init: InitializeWorkflow
    parent: Parent | None = None
    previous: "Run | None" = None  # that continued as this one
    execution_s: float = 0.0  # limits; 0 is none
    run_s: float = 0.0

    def __post_init__(self) -> None:
        self.kind = self.init.workflow_type
        self.status = STATUS.WORKFLOW_EXECUTION_STATUS_RUNNING
        self.history = History(self.server.now)
        self.memo, self.attributes = Memo(), SearchAttributes()
        self.memo.CopyFrom(self.init.memo)
        self.attributes.CopyFrom(self.init.search_attributes)
        self.started_at, self.closed_at = self.server.now(), 0.0
        self.pending: list[WorkflowActivationJob] = []
        self.held_back: list[tuple[bool, Write]] = []
        self.task: Task | None = None
        self.scheduled = False
        self.failed_tasks, self.task_scheduled_id = 0, 0
        self.activities: dict[int, Activity] = {}  # that have not ended, by their number in the class
        self.activities_ever: dict[int, Activity] = {}
        self.timers: dict[int, tuple[asyncio.TimerHandle, int]] = {}
        self.children: dict[int, Child] = {}
        self.children_ever: dict[int, Child] = {}
        self.updates: dict[str, Update] = {}
        self.undelivered: list[Update] = []
        self.change = asyncio.Event()
        self.ended: asyncio.Event = asyncio.Event()
        self.result: Payload | None = None
        self.failure: Failure | None = None
        self.next_run: Run | None = None
        self.cancel_requested = False
        # what the worker side keeps
        self.instance: Any = None
        self.instance_life: Any = None
        self.recorded: list[Recorded] = []
        self.flags: set[int] = set()
        self._limits: list[asyncio.TimerHandle] = []

    @property
    def open(self) -> bool:
        return self.status == STATUS.WORKFLOW_EXECUTION_STATUS_RUNNING

    @property
    def execution(self) -> WorkflowExecution:
        return WorkflowExecution(workflow_id=self.id, run_id=self.run_id)

    def begin(self, wait_s: float = 0.0) -> None:
        for limit_s in (self.execution_s, self.run_s):
            if limit_s:
                self._limits.append(self.server.later(limit_s, self._timed_out))
        self.pending.append(WorkflowActivationJob(initialize_workflow=self.init))
        if wait_s:
            self.scheduled = True
            self.server.later(wait_s, self._backed_off)
        else:
            self.schedule()

    def _backed_off(self) -> None:
        self.scheduled = False
        self.schedule()

    # ------------------------------------------------------------------------------------------------- what happens

    def happen(self, write: Write, *, last: bool = False) -> None:
        """Something from outside; `last`: an end of an activity or a child."""
        if not self.open:
            return
        if self.task is not None:
            self.held_back.append((last, write))
            return
        self._write(write)
        self.schedule()

    def _write(self, write: Write) -> None:
        job = write(self.history)
        if job is not None:
            self.pending.append(job)
        self.changed()

    def changed(self) -> None:
        """Wake who looks on."""
        self.change.set()
        self.change = asyncio.Event()

    def add_update(self, update: Update) -> None:
        self.updates[update.id] = update
        self.undelivered.append(update)
        if self.task is None:
            self.schedule()

    # ------------------------------------------------------------------------------------------------ workflow tasks

    def schedule(self, wait_s: float = 0.0) -> None:
        """Have a worker look at it, once."""
        if self.scheduled or self.task is not None or not self.open:
            return
        self.scheduled = True
        if not self.failed_tasks:
            self._task_scheduled(1)
        self.server.later(wait_s + self.server.conditions.delay(), self._start_task)

    def _start_task(self) -> None:
        if not self.open or self.task is not None:
            return
        host = self.server.worker(self.queue)
        if host is None:
            self.server.later(POLL_AGAIN_S, self._start_task)
            return
        self.scheduled = False
        if not self.failed_tasks:
            self.history.add("WORKFLOW_TASK_STARTED", scheduled_event_id=self.task_scheduled_id)
        task = self.task = Task(self.pending, self.undelivered, self.failed_tasks + 1, len(self.history.events))
        self.pending, self.undelivered = [], []
        task.limit = self.server.later(TASK_S_MAX, self._lost, task)
        host.spawn(self._work(host, task))

    async def _work(self, host: Host, task: Task) -> None:
        if self.task is not task:
            return
        worked = self.server.interpreter.work(self, host.life, task)
        self.server.later(self.server.conditions.delay(), self._answered, task, worked)

    def _lost(self, task: Task) -> None:
        if self.task is task:
            self.server.reach("workflow task lost")
            ids = self._task_ids()
            if task.attempt == 1:
                self.history.add("WORKFLOW_TASK_TIMED_OUT", timeout_type="TIMEOUT_TYPE_START_TO_CLOSE", **ids)
            self._do_anew(task, 0.0)

    def _answered(self, task: Task, worked: Worked) -> None:
        if self.task is not task:
            return
        if worked.failure is not None:
            cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
            self.server.task_failed(self, worked.failure)
            self._refuse(task, cause, worked.failure, min(AGAIN_S_MAX, AGAIN_S_FIRST * 2 ** min(task.attempt, 8)))
            return
        news = bool(self.held_back) or bool(self.undelivered)
        if news and any(c.WhichOneof("variant") in CLOSING for c in worked.commands):
            self.server.reach("end refused for news")
            cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
            self._refuse(task, cause, Failure(message="UnhandledCommand"), 0.0)
            return
        self._accept(task, worked)

    def _accept(self, task: Task, worked: Worked) -> None:
        self._stop(task)
        self.server.tasks += 1
        if task.attempt > 1:  # only now do they become history
            self._task_scheduled(task.attempt)
            self.history.add("WORKFLOW_TASK_STARTED", scheduled_event_id=self.task_scheduled_id)
        self.failed_tasks = 0
        flags = sorted(worked.flags - self.flags)
        completed = self.history.add(
            "WORKFLOW_TASK_COMPLETED", sdk_metadata={"lang_used_flags": flags} if flags else None, **self._task_ids()
        )
        self.flags |= worked.flags
        self.recorded.append(worked.recorded)
        for seq in worked.answered_activities:
            self.activities_ever[seq].answered = True
        for seq in worked.answered_children:
            self.children_ever[seq].answered = True
        for command in worked.commands:
            commands.carry_out(self, command, completed)
        self._let_go()

    def _refuse(self, task: Task, cause: WorkflowTaskFailedCause.ValueType, failure: Failure, wait_s: float) -> None:
        if task.attempt == 1:
            self.history.add("WORKFLOW_TASK_FAILED", cause=cause, failure=failure, **self._task_ids())
        self._do_anew(task, wait_s, known=cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND)

    def _task_ids(self) -> dict[str, int]:
        return {"scheduled_event_id": self.task_scheduled_id, "started_event_id": len(self.history.events)}

    def _task_scheduled(self, attempt: int) -> None:
        """Other events may come between this one and the task's start."""
        self.task_scheduled_id = self.history.add(
            "WORKFLOW_TASK_SCHEDULED", task_queue={"name": self.queue}, attempt=attempt
        )

    def _do_anew(self, task: Task, wait_s: float, *, known: bool = False) -> None:
        """The whole task again; the worker forgets what it made of it."""
        self._stop(task)
        self.server.interpreter.forget(self)
        self.failed_tasks = 0 if known else self.failed_tasks + 1
        self.pending = task.jobs + self.pending
        self.undelivered = task.updates + self.undelivered
        self.schedule(wait_s)
        self._let_go()

    def _stop(self, task: Task) -> None:
        if task.limit is not None:
            task.limit.cancel()
        self.task = None

    def _let_go(self) -> None:
        """Write what was held back."""
        held, self.held_back = self.held_back, []
        if self.open:
            for _, write in sorted(held, key=lambda h: h[0]):
                self._write(write)
            if held or self.undelivered:
                self.schedule()
        self.changed()

    # ---------------------------------------------------------------------------------------------------------- ends

    def request_cancel(self, *, cause: str = "", by: WorkflowExecution | None = None, initiated: int = 0) -> None:
        """Once; a second request changes nothing."""
        if self.cancel_requested or not self.open:
            return
        self.cancel_requested = True

        def write(history: History) -> WorkflowActivationJob:
            more = {"external_workflow_execution": by, "external_initiated_event_id": initiated} if by else {}
            history.add("WORKFLOW_EXECUTION_CANCEL_REQUESTED", cause=cause, **more)
            return WorkflowActivationJob(cancel_workflow={"reason": cause})  # type: ignore[arg-type]

        self.happen(write)

    def terminate(self, reason: str) -> None:
        self.close("TERMINATED", "WORKFLOW_EXECUTION_TERMINATED", reason=reason)

    def _timed_out(self) -> None:
        self.close("TIMED_OUT", "WORKFLOW_EXECUTION_TIMED_OUT", retry_state="RETRY_STATE_TIMEOUT")

    def close(self, status: str, kind: str, **attributes: Any) -> None:
        """The last event; whatever was pending is dropped, children learn of it by their policy, the parent is told."""
        if not self.open:
            return
        if self.task is not None:
            self._stop(self.task)
        self.history.add(kind, **attributes)
        self.status = STATUS.Value(f"WORKFLOW_EXECUTION_STATUS_{status}")
        self.closed_at = self.server.now()
        for activity in list(self.activities.values()):
            activity.forget()
        for timer, _ in self.timers.values():
            timer.cancel()
        for limit in self._limits:
            limit.cancel()
        self.held_back, self.pending = [], []
        self.server.interpreter.forget(self)
        for update in self.updates.values():
            update.run_closed()
        self.ended.set()
        self.changed()
        self.server.closed(self)
