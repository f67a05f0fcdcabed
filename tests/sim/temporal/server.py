"""Temporal for the simulator: real workflow classes and activities, on whatever asyncio loop runs, in its time.

    server = SimTemporal(Conditions(random, ...), now)
    server.add_workflows("headrace-workflows", WORKFLOWS, process)
    server.add_activities("headrace-observer", activities, process)
    client = server.client()          # Temporal's own client: adapters that take one run as shipped

A process that is down polls nothing; what it was doing is lost and runs into its timeout. `problems` are workflow tasks
that failed (a bug in a workflow) and replays that differ; a simulation that has any is red.
"""

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.activity import _Definition as ActivityDefinition
from temporalio.api.common.v1 import Memo, Payload, WorkflowExecution
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.child_workflow import ParentClosePolicy
from temporalio.bridge.proto.workflow_activation import InitializeWorkflow, SignalWorkflow, WorkflowActivationJob
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.workflow import _Definition as WorkflowDefinition

from shared.temporal.converter import DATA_CONVERTER
from tests.sim.temporal.children import Child
from tests.sim.temporal.commands import NotSimulated
from tests.sim.temporal.conditions import Conditions, Host
from tests.sim.temporal.history import History
from tests.sim.temporal.run import STATUS, Parent, Run
from tests.sim.temporal.worker import Interpreter

EPOCH_S = 1_700_000_000.0
TASK_TIMEOUT_S = 10


class AlreadyStarted(Exception):
    """A run of that id stands in the way."""

    def __init__(self, run: Run) -> None:
        super().__init__(run.id)
        self.run = run


@dataclass
class Queue:
    """Who polls it, and for what."""

    workflows: dict[str, WorkflowDefinition] = field(default_factory=dict)
    workflow_hosts: list[Host] = field(default_factory=list)
    activities: list[tuple[Host, dict[str, ActivityDefinition]]] = field(default_factory=list)


class SimTemporal:
    """One namespace of one server."""

    def __init__(
        self,
        conditions: Conditions | None = None,
        now: Callable[[], float] | None = None,
        *,
        namespace: str = "default",
        converter: DataConverter = DATA_CONVERTER,
        reach: Callable[[str], None] = lambda _: None,
        suggests_continue: Callable[[Run], bool] = lambda _: False,
    ) -> None:
        """`now`: seconds since the epoch, by the server's clock; by default the loop's time after some day in 2023."""
        self.conditions = conditions or Conditions()
        self._clock = now
        self.namespace, self.converter = namespace, converter
        self.reach, self.suggests_continue = reach, suggests_continue
        self.interpreter = Interpreter(namespace, converter)
        self.runs: dict[str, list[Run]] = {}
        self.problems: list[str] = []
        self.tasks = self.attempts = self.retries = 0
        self._queues: dict[str, Queue] = {}
        self._starts: dict[str, Run] = {}
        self._numbers: Counter[str] = Counter()
        self._blank = contextvars.Context()

    # --------------------------------------------------------------------------------------------------------- set-up

    def add_workflows(self, queue: str, workflows: Iterable[type], host: Host) -> None:
        """A worker that polls the queue for workflow tasks."""
        known = self._queues.setdefault(queue, Queue())
        for cls in workflows:
            definition = WorkflowDefinition.must_from_class(cls)
            known.workflows[definition.name or ""] = definition
        known.workflow_hosts.append(host)

    def add_activities(self, queue: str, activities: Sequence[Callable[..., Any]], host: Host) -> None:
        """A worker that polls the queue for activities; `activities` carry `@activity.defn`, as for `ActivityWorker`.

        A process that starts anew registers anew: what it had before is gone.
        """
        definitions = [ActivityDefinition.must_from_callable(a) for a in activities]
        table = {d.name or "": d for d in definitions}
        known = self._queues.setdefault(queue, Queue())
        known.activities = [*(a for a in known.activities if a[0] is not host), (host, table)]

    def client(self) -> Client:
        """Temporal's client over this server; every call takes a message there and one back."""
        from tests.sim.temporal.rpc import SimService

        return Client(SimService(self), namespace=self.namespace, data_converter=self.converter)

    # ---------------------------------------------------------------------------------------- what runs and rpc ask for

    def now(self) -> float:
        if self._clock is not None:
            return self._clock()
        return EPOCH_S + asyncio.get_running_loop().time()

    def later(self, wait_s: float, act: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """In nobody's name."""
        return asyncio.get_running_loop().call_later(wait_s, act, *args, context=self._blank.copy())

    def worker(self, queue: str) -> Host | None:
        """A process that takes the queue's workflow tasks, if any is up."""
        hosts = [h for h in self._queue(queue).workflow_hosts if h.up]
        return self.conditions.random.choice(hosts) if hosts else None

    def poller(self, queue: str, name: str) -> tuple[Host, dict[str, ActivityDefinition]] | None:
        """A process that takes this activity, if any is up."""
        polling = self._queue(queue).activities
        if polling and not any(name in table for _, table in polling):
            raise NotSimulated(f"activity {name} is not registered on {queue}")
        up = [p for p in polling if p[0].up and name in p[1]]
        return self.conditions.random.choice(up) if up else None

    def definition(self, queue: str, kind: str) -> WorkflowDefinition:
        found = self._queue(queue).workflows.get(kind)
        if found is None:
            raise NotSimulated(f"workflow {kind} is not registered on {queue}")
        return found

    def _queue(self, name: str) -> Queue:
        return self._queues.setdefault(name, Queue())

    def find(self, workflow_id: str, run_id: str = "") -> Run | None:
        """A run by its id, or the newest."""
        runs = self.runs.get(workflow_id, [])
        return next((r for r in reversed(runs) if not run_id or r.run_id == run_id), None)

    def task_failed(self, run: Run, failure: Failure) -> None:
        """A workflow raised what is not a failure of the outside world, or differs on replay."""
        if failure.source != "Nondeterminism":
            self.problems.append(f"{run.kind} {run.id}: workflow task failed: {failure.message}\n{failure.stack_trace}")

    def replay_differs(self, run: Run, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)

    def verify(self) -> None:
        """Replay every run that has closed."""
        for runs in self.runs.values():
            for run in runs:
                if not run.open:
                    self.interpreter.verify(run)

    def stop(self) -> None:
        """Let go of every instance, so that none is left for the garbage collector."""
        for runs in self.runs.values():
            for run in runs:
                if run.open:
                    run.terminate("the simulation ends")

    # ---------------------------------------------------------------------------------------------------------- starts

    def start(
        self,
        init: InitializeWorkflow,
        queue: str,
        *,
        reuse: int = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
        conflict: int = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
        request_id: str = "",
        parent: Parent | None = None,
        wait_s: float = 0.0,
    ) -> Run:
        """A new run, or the one that the policies allow; AlreadyStarted otherwise. A repeated request finds its own run."""
        if request_id and request_id in self._starts:
            return self._starts[request_id]
        known = self.find(init.workflow_id)
        if known is not None:
            found = self._in_the_way(known, reuse, conflict)
            if found is not None:
                return found
        run = self._make(init, queue, parent=parent)
        if request_id:
            self._starts[request_id] = run
        run.begin(wait_s)
        return run

    def _in_the_way(self, known: Run, reuse: int, conflict: int) -> Run | None:
        policies, conflicts = WorkflowIdReusePolicy, WorkflowIdConflictPolicy
        if known.open:
            terminates = {
                conflict == conflicts.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING,
                reuse == policies.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING,
            }
            if conflict == conflicts.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING:
                return known
            if True not in terminates:
                raise AlreadyStarted(known)
            known.terminate("TerminateIfRunning WorkflowIdReusePolicy Policy")
            return None
        completed = known.status == STATUS.WORKFLOW_EXECUTION_STATUS_COMPLETED
        if reuse == policies.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE:
            raise AlreadyStarted(known)
        if reuse == policies.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY and completed:
            raise AlreadyStarted(known)
        return None

    def _make(self, init: InitializeWorkflow, queue: str, *, parent: Parent | None, after: Run | None = None) -> Run:
        self.definition(queue, init.workflow_type)
        self._numbers[init.workflow_id] += 1
        run_id = f"run-{init.workflow_id}-{self._numbers[init.workflow_id]}"
        init.attempt = 1
        init.randomness_seed = self.conditions.random.getrandbits(64)
        init.start_time.FromNanoseconds(round(self.now() * 1e6) * 1000)
        init.first_execution_run_id = after.init.first_execution_run_id if after is not None else run_id
        init.original_execution_run_id = run_id
        init.workflow_task_timeout.FromSeconds(TASK_TIMEOUT_S)
        if parent is not None:
            above = parent.run
            init.parent_workflow_info.namespace = self.namespace
            init.parent_workflow_info.workflow_id, init.parent_workflow_info.run_id = above.id, above.run_id
            root = above.init.root_workflow if above.init.HasField("root_workflow") else above.execution
            init.root_workflow.CopyFrom(root)
        run = Run(self, init.workflow_id, run_id, queue, init, parent, after)
        run.execution_s = init.workflow_execution_timeout.ToTimedelta().total_seconds()
        run.run_s = init.workflow_run_timeout.ToTimedelta().total_seconds()
        self.runs.setdefault(init.workflow_id, []).append(run)
        self._write_start(run)
        return run

    def _write_start(self, run: Run) -> None:
        init, about = run.init, dict[str, Any]()
        if run.parent is not None:
            about["parent_workflow_namespace"] = self.namespace
            about["parent_workflow_execution"] = run.parent.run.execution
            about["parent_initiated_event_id"] = run.parent.child.initiated_id
        if init.HasField("root_workflow"):
            about["root_workflow_execution"] = init.root_workflow
        if run.previous is not None:
            about["continued_execution_run_id"] = run.previous.run_id
            about["initiator"] = "CONTINUE_AS_NEW_INITIATOR_WORKFLOW"
        run.history.add(
            "WORKFLOW_EXECUTION_STARTED",
            workflow_type={"name": run.kind},
            workflow_id=run.id,
            task_queue={"name": run.queue},
            input={"payloads": init.arguments},
            workflow_execution_timeout=init.workflow_execution_timeout,
            workflow_run_timeout=init.workflow_run_timeout,
            workflow_task_timeout=init.workflow_task_timeout,
            original_execution_run_id=run.run_id,
            first_execution_run_id=init.first_execution_run_id,
            attempt=1,
            memo=init.memo,
            search_attributes=init.search_attributes,
            **about,
        )

    def start_child(self, child: Child) -> None:
        """What a parent asked for; the parent may have closed meanwhile."""
        parent, asked = child.run, child.asked
        abandoned = asked.parent_close_policy == ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON
        if not parent.open and not abandoned:
            return
        init = InitializeWorkflow(
            workflow_type=asked.workflow_type,
            workflow_id=asked.workflow_id,
            arguments=asked.input,
            headers=asked.headers,
            memo=Memo(fields=dict(asked.memo)),
            search_attributes=asked.search_attributes,
            workflow_execution_timeout=asked.workflow_execution_timeout,
            workflow_run_timeout=asked.workflow_run_timeout,
        )
        reuse = asked.workflow_id_reuse_policy or WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
        try:
            run = self.start(init, asked.task_queue or parent.queue, reuse=reuse, parent=Parent(parent, child))
        except AlreadyStarted:
            child.not_started()
        else:
            child.started(run.run_id)

    def continued(self, run: Run, asked: Any) -> Run:
        """The next run of a chain: what is not said anew stays."""
        init = InitializeWorkflow(
            workflow_type=asked.workflow_type or run.kind,
            workflow_id=run.id,
            arguments=asked.arguments,
            headers=asked.headers,
            memo=Memo(fields=dict(asked.memo)) if asked.memo else run.memo,
            search_attributes=asked.search_attributes if asked.HasField("search_attributes") else run.attributes,
            workflow_execution_timeout=run.init.workflow_execution_timeout,
            workflow_run_timeout=asked.workflow_run_timeout,
            continued_from_execution_run_id=run.run_id,
        )
        fresh = self._make(init, asked.task_queue or run.queue, parent=run.parent, after=run)
        for update in [u for u in run.updates.values() if not u.accepted and u.outcome is None]:
            run.updates.pop(update.id)
            fresh.add_update(update)
        return fresh

    # ------------------------------------------------------------------------------------------------- messages, ends

    def signal(self, run: Run, name: str, given: Sequence[Payload], by: WorkflowExecution | None = None) -> None:
        """To a run that is open."""

        def write(history: History) -> WorkflowActivationJob:
            more = {"external_workflow_execution": by} if by is not None else {}
            event = history.add("WORKFLOW_EXECUTION_SIGNALED", signal_name=name, input={"payloads": given}, **more)
            told = SignalWorkflow(signal_name=name, input=given, originating_event_id=event)
            return WorkflowActivationJob(signal_workflow=told)

        run.happen(write)

    def closed(self, run: Run) -> None:
        """Tell its parent, and its children by their policies."""
        if run.next_run is None and run.parent is not None:
            self.later(self.conditions.delay(), run.parent.child.ended, run)
        for child in list(run.children.values()):
            self.later(self.conditions.delay(), self._parent_closed, child)

    def _parent_closed(self, child: Child) -> None:
        found = self.find(child.asked.workflow_id)
        if found is None or not found.open or found.parent is None or found.parent.child is not child:
            return
        match child.asked.parent_close_policy:
            case ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON:
                return
            case ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL:
                found.request_cancel(by=child.run.execution)
            case _:
                found.terminate("by parent close policy")
