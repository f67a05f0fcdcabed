"""One activity as the server keeps it: attempts one after the other, each with its limits, until one answer counts.

An attempt that is never heard of again (its process died, its answer got lost) runs into a timeout and is made anew; an
answer that comes after that is refused. A cancel reaches a running attempt through its heartbeats only.
"""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.activity_result import ActivityResolution
from temporalio.bridge.proto.workflow_activation import ResolveActivity, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import ScheduleActivity

from tests.sim.temporal import failures
from tests.sim.temporal.attempt import Attempt
from tests.sim.temporal.history import History

if TYPE_CHECKING:
    from tests.sim.temporal.run import Run, Write

POLL_AGAIN_S = 0.5  # while no worker of the queue is up
INTERVAL_FIRST_S, COEFFICIENT, INTERVALS_MAX = 1.0, 2.0, 100  # the server's defaults
FINAL = frozenset({TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE})


def seconds(duration: Duration) -> float:
    """A duration as a number; 0 when it is not set."""
    return duration.seconds + duration.nanos / 1e9


class Activity:
    """`answered`: the workflow was told already that it is cancelled, and nothing more is told."""

    def __init__(self, run: "Run", asked: ScheduleActivity, scheduled_id: int) -> None:
        self.run, self.asked, self.scheduled_id = run, asked, scheduled_id
        self.attempts = 1
        self.answered = False
        self.cancel_event_id = 0
        self.details: Payloads | None = None
        self.last_failure: Failure | None = None
        self.attempt: Attempt | None = None
        self.closed = False
        self.scheduled_at = run.server.now()
        total_s = seconds(asked.schedule_to_close_timeout)
        self._expires_at = self.scheduled_at + total_s if total_s else float("inf")
        self._limits: list[asyncio.TimerHandle] = []
        self._total = run.server.later(total_s, self._overdue) if total_s else None
        self._waits: asyncio.TimerHandle | None = None
        self._unstarted: asyncio.TimerHandle | None = None
        self._dispatch(0.0)

    # ------------------------------------------------------------------------------------------------------- attempts

    def _dispatch(self, wait_s: float) -> None:
        """Put it on its queue after a pause."""
        server = self.run.server
        self.attempt = None
        self._waits = server.later(wait_s + server.conditions.delay(), self._start)
        limit_s = seconds(self.asked.schedule_to_start_timeout)
        if limit_s:
            self._unstarted = server.later(
                wait_s + limit_s, self._timed_out, None, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
            )

    def _start(self) -> None:
        if self.closed:
            return
        server = self.run.server
        polling = server.poller(self.asked.task_queue, self.asked.activity_type)
        if polling is None:
            self._waits = server.later(POLL_AGAIN_S, self._start)
            return
        if self._unstarted is not None:
            self._unstarted.cancel()
        host, activities = polling
        attempt = self.attempt = Attempt(self, host, activities)
        limit_s = seconds(self.asked.start_to_close_timeout) or seconds(self.asked.schedule_to_close_timeout)
        self._limits = [server.later(limit_s, self._timed_out, attempt, TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)]
        self._watch_heartbeat(attempt)
        server.attempts += 1
        host.spawn(attempt.run())

    def _watch_heartbeat(self, attempt: Attempt) -> None:
        limit_s = seconds(self.asked.heartbeat_timeout)
        if limit_s:
            del self._limits[1:]
            timer = self.run.server.later(limit_s, self._timed_out, attempt, TimeoutType.TIMEOUT_TYPE_HEARTBEAT)
            self._limits.append(timer)

    def _stop_limits(self) -> None:
        for timer in self._limits:
            timer.cancel()
        self._limits = []

    def beat(self, attempt: Attempt, details: Payloads) -> bool:
        """A heartbeat arrived; whether the attempt is to cancel (also when it is not the one that counts any more)."""
        if attempt is not self.attempt or self.closed:
            return True
        self.details = details
        if len(self._limits) > 1:
            self._limits[1].cancel()
        self._watch_heartbeat(attempt)
        return self.cancel_event_id > 0

    # -------------------------------------------------------------------------------------------------------- answers

    def completed(self, attempt: Attempt, result: Payload) -> None:
        """An attempt ended well."""
        if attempt is not self.attempt or self.closed:
            return

        def write(history: History) -> WorkflowActivationJob | None:
            ids = self._started(history)
            history.add("ACTIVITY_TASK_COMPLETED", result={"payloads": [result]}, **ids)
            resolution = ActivityResolution()
            resolution.completed.result.CopyFrom(result)
            return self._job(resolution)

        self._close(write)

    def failed(self, attempt: Attempt, failure: Failure) -> None:
        """An attempt raised."""
        if attempt is self.attempt and not self.closed:
            self._again_or(failure, "ACTIVITY_TASK_FAILED")

    def was_cancelled(self, attempt: Attempt) -> None:
        """An attempt obeyed the cancel."""
        if attempt is self.attempt and not self.closed:
            self._cancelled(started=True)

    def _timed_out(self, attempt: Attempt | None, kind: TimeoutType.ValueType) -> None:
        if not self.closed and attempt is self.attempt:
            self._again_or(failures.timed_out(kind, self.details), "ACTIVITY_TASK_TIMED_OUT")

    def _overdue(self) -> None:
        if not self.closed:
            self._fail(failures.out_of_time(), "ACTIVITY_TASK_TIMED_OUT", RetryState.RETRY_STATE_TIMEOUT)

    def cancel(self, event_id: int) -> None:
        """The workflow asked for it; at once when no attempt runs."""
        self.cancel_event_id = event_id
        if self.attempt is None and not self.closed:
            self._cancelled(started=False)

    def _again_or(self, failure: Failure, kind: str) -> None:
        self._stop_limits()
        state, wait_s = self._may_retry(failure)
        if state == RetryState.RETRY_STATE_IN_PROGRESS:
            self.last_failure = failure
            self.attempts += 1
            self.run.server.retries += 1
            self._dispatch(wait_s)
            return
        if state == RetryState.RETRY_STATE_TIMEOUT and kind == "ACTIVITY_TASK_TIMED_OUT":
            failure = failures.out_of_time()
        self._fail(failure, kind, state)

    def _may_retry(self, failure: Failure) -> tuple[RetryState.ValueType, float]:
        policy, info = self.asked.retry_policy, failure.application_failure_info
        if self.cancel_event_id:
            return RetryState.RETRY_STATE_CANCEL_REQUESTED, 0.0
        if (
            failure.HasField("canceled_failure_info")
            or info.non_retryable
            or (info.type and info.type in policy.non_retryable_error_types)
            or (failure.HasField("timeout_failure_info") and failure.timeout_failure_info.timeout_type in FINAL)
        ):
            return RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE, 0.0
        if policy.maximum_attempts and self.attempts >= policy.maximum_attempts:
            return RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED, 0.0
        first_s = seconds(policy.initial_interval) or INTERVAL_FIRST_S
        most_s = seconds(policy.maximum_interval) or first_s * INTERVALS_MAX
        grown = (policy.backoff_coefficient or COEFFICIENT) ** min(self.attempts - 1, 60)
        wait_s = min(most_s, first_s * grown)
        if info.HasField("next_retry_delay"):
            wait_s = seconds(info.next_retry_delay)
        if self.run.server.now() + wait_s >= self._expires_at:
            return RetryState.RETRY_STATE_TIMEOUT, 0.0
        return RetryState.RETRY_STATE_IN_PROGRESS, wait_s

    # ----------------------------------------------------------------------------------------------------------- ends

    def _fail(self, failure: Failure, kind: str, state: RetryState.ValueType) -> None:
        said = "Activity task timed out" if kind == "ACTIVITY_TASK_TIMED_OUT" else "Activity task failed"
        started = self.attempt is not None
        if kind == "ACTIVITY_TASK_TIMED_OUT" and self.last_failure is not None:
            failure.cause.CopyFrom(self.last_failure)

        def write(history: History) -> WorkflowActivationJob | None:
            ids = self._started(history) if started else {"scheduled_event_id": self.scheduled_id}
            history.add(kind, failure=failure, retry_state=state, **ids)
            asked, began = self.asked, ids.get("started_event_id", 0)
            resolution = ActivityResolution()
            resolution.failed.failure.CopyFrom(
                failures.of_activity(
                    said, failure, asked.activity_type, asked.activity_id, self.scheduled_id, began, state
                )
            )
            return self._job(resolution)

        self._close(write)

    def _cancelled(self, *, started: bool) -> None:
        def write(history: History) -> WorkflowActivationJob | None:
            ids = self._started(history) if started else {"scheduled_event_id": self.scheduled_id}
            history.add("ACTIVITY_TASK_CANCELED", latest_cancel_requested_event_id=self.cancel_event_id, **ids)
            return self._job(cancellation(self.asked, self.scheduled_id))

        self._close(write)

    def _started(self, history: History) -> dict[str, int]:
        """The start is written together with the end: until then it may be that of another attempt."""
        started = {"last_failure": self.last_failure} if self.last_failure is not None else {}
        number = history.add(
            "ACTIVITY_TASK_STARTED", scheduled_event_id=self.scheduled_id, attempt=self.attempts, **started
        )
        return {"scheduled_event_id": self.scheduled_id, "started_event_id": number}

    def _job(self, result: ActivityResolution) -> WorkflowActivationJob | None:
        if self.answered:
            return None
        return WorkflowActivationJob(resolve_activity=ResolveActivity(seq=self.asked.seq, result=result))

    def _close(self, write: "Write") -> None:
        self.forget()
        self.run.activities.pop(self.asked.seq, None)
        self.run.happen(write, last=True)

    def forget(self) -> None:
        """Nothing is waited for any more; an attempt that runs goes on, and nobody listens."""
        self.closed = True
        self._stop_limits()
        for timer in (self._total, self._waits, self._unstarted):
            if timer is not None:
                timer.cancel()

    @property
    def heartbeat_timeout(self) -> timedelta | None:
        """As asked for."""
        return self.asked.heartbeat_timeout.ToTimedelta() if self.asked.HasField("heartbeat_timeout") else None


def cancellation(asked: ScheduleActivity, scheduled_id: int) -> ActivityResolution:
    """What the workflow is told of a cancelled one."""
    resolution = ActivityResolution()
    resolution.cancelled.failure.CopyFrom(
        failures.of_activity(
            "Activity cancelled", failures.cancelled(), asked.activity_type, asked.activity_id, scheduled_id
        )
    )
    return resolution
