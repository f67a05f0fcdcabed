"""One attempt of an activity in a process: arguments decoded, the shipped function called, its end reported.

Failures are converted as `shared.temporal.worker` does. Synchronous activities run at one instant: no threads here.
"""

import asyncio
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration
from temporalio import activity
from temporalio.activity import _ActivityCancellationDetailsHolder, _Context, _Definition
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.common import Priority, RetryPolicy, _CompositeEvent
from temporalio.exceptions import ApplicationError, CancelledError

from shared.domain.errors import HeadraceError
from shared.temporal.errors import to_application_error
from tests.sim.temporal.conditions import Host

if TYPE_CHECKING:
    from tests.sim.temporal.activities import Activity

THROTTLE = 0.8  # of the heartbeat timeout: the SDK sends no more often
THROTTLE_S_MAX = 60.0
THROTTLE_S = 30.0  # where no timeout is set


class Attempt:
    """It knows whether it was asked to cancel; a repeated attempt is another object."""

    def __init__(self, of: "Activity", host: Host, functions: Mapping[str, _Definition]) -> None:
        self._host = host
        self.activity, self.number = of, of.attempts
        self._defn = functions[of.asked.activity_type]
        self._details_before = of.details
        self._task: asyncio.Task[Any] | None = None
        self._cancel_asked = False
        self._beat_at = -float("inf")
        self._beat_due: asyncio.TimerHandle | None = None
        self._beat_last = Payloads()

    async def run(self) -> None:
        """In its process; the report travels like any message, and may be lost."""
        server = self.activity.run.server
        self._task, life = asyncio.current_task(), self._host.life
        report: tuple[Any, ...]
        try:
            report = (self.activity.completed, self, await self._call())
        except (asyncio.CancelledError, CancelledError) as error:
            failed = (self.activity.failed, self, self._failure(error))
            report = (self.activity.was_cancelled, self) if self._cancel_asked else failed
        except Exception as error:
            mapped = to_application_error(error) if isinstance(error, HeadraceError) else error
            report = (self.activity.failed, self, self._failure(mapped))
        self._task = None
        if self._host.life is not life:
            return  # the process died meanwhile
        if server.conditions.loses():
            server.reach("activity answer lost")
            return
        server.later(server.conditions.delay(), *report)

    async def _call(self) -> Payload:
        converter = self.activity.run.server.converter.payload_converter
        asked, types = self.activity.asked.arguments, self._defn.arg_types
        hints = types if types is not None and len(types) == len(asked) else None
        arguments = converter.from_payloads(asked, hints) if asked else []
        _Context.set(self._context())
        result = self._defn.fn(*arguments)
        if self._defn.is_async:
            result = await result
        return converter.to_payloads([result])[0]

    def _failure(self, error: BaseException) -> Failure:
        converter, failure = self.activity.run.server.converter, Failure()
        if isinstance(error, asyncio.CancelledError):
            error = ApplicationError("Cancelled", type="CancelledError")
        converter.failure_converter.to_failure(error, converter.payload_converter, failure)
        return failure

    # ------------------------------------------------------------------------------------------------------ heartbeats

    def _heartbeat(self, *details: Any) -> None:
        """As the SDK: the first at once, then no more often than the throttle; the newest details count."""
        server = self.activity.run.server
        self._beat_last = Payloads(payloads=server.converter.payload_converter.to_payloads(details))
        limit = self.activity.heartbeat_timeout
        every_s = min(THROTTLE_S_MAX, THROTTLE * limit.total_seconds()) if limit else THROTTLE_S
        wait_s = max(0.0, self._beat_at + every_s - server.now())
        if self._beat_due is None:
            self._beat_due = server.later(wait_s + server.conditions.delay(), self._send)

    def _send(self) -> None:
        server = self.activity.run.server
        self._beat_due, self._beat_at = None, server.now()
        if self._task is not None and self.activity.beat(self, self._beat_last) and not self._cancel_asked:
            self._cancel_asked = True
            self._task.cancel()

    def _context(self) -> _Context:
        return _Context(
            info=self._info,
            heartbeat=self._heartbeat,
            cancelled_event=_CompositeEvent(thread_event=threading.Event(), async_event=asyncio.Event()),
            worker_shutdown_event=_CompositeEvent(thread_event=threading.Event(), async_event=asyncio.Event()),
            shield_thread_cancel_exception=None,
            payload_converter_class_or_instance=self.activity.run.server.converter.payload_converter,
            runtime_metric_meter=None,
            client=None,
            cancellation_details=_ActivityCancellationDetailsHolder(),
        )

    def _info(self) -> activity.Info:
        of, run = self.activity, self.activity.run
        asked, converter = of.asked, run.server.converter.payload_converter
        before = self._details_before
        return activity.Info(
            activity_id=asked.activity_id,
            activity_type=asked.activity_type,
            attempt=self.number,
            current_attempt_scheduled_time=datetime.fromtimestamp(run.server.now(), UTC),
            heartbeat_details=converter.from_payloads(before.payloads) if before is not None else [],
            heartbeat_timeout=_limit(asked.heartbeat_timeout),
            is_local=False,
            namespace=run.server.namespace,
            schedule_to_close_timeout=_limit(asked.schedule_to_close_timeout),
            scheduled_time=datetime.fromtimestamp(of.scheduled_at, UTC),
            start_to_close_timeout=_limit(asked.start_to_close_timeout),
            started_time=datetime.fromtimestamp(run.server.now(), UTC),
            task_queue=asked.task_queue,
            task_token=b"",
            workflow_id=run.id,
            workflow_namespace=run.server.namespace,
            workflow_run_id=run.run_id,
            workflow_type=run.kind,
            priority=Priority.default,
            retry_policy=RetryPolicy.from_proto(asked.retry_policy),
            activity_run_id=None,
        )


def _limit(duration: Duration) -> timedelta | None:
    return duration.ToTimedelta() or None
