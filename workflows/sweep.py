"""Sweep: what a terminated workflow or a dead worker left behind is ended or adopted, by each service for its own.

A copy that stands beside a group belongs to the rating that runs under the group's id. Whatever clears up takes the same
id, so it cannot begin while that rating runs, and a copy without one does not stay.
"""

from temporalio import workflow
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError

from shared.contracts import queues
from shared.contracts.activities import Nothing, SweepReport
from shared.contracts.rating import RemoveCopyInput
from shared.temporal.errors import error_text
from workflows import stubs

SWEEPS = (stubs.observer_sweep, stubs.provisioner_sweep, stubs.autoscaler_sweep)


@workflow.defn(name="Sweep")
class Sweep:
    """One run of the schedule: leases first, because what they held is then free to be swept."""

    @workflow.run
    async def run(self) -> SweepReport:
        """What was ended; a service that did not answer is noted and the others are swept all the same."""
        ended: list[str] = []
        notes: list[str] = []
        for stub in SWEEPS:
            try:
                report = await stub(Nothing())
            except FailureError as e:
                notes.append(f"{stub.name}: {error_text(e)}")
                continue
            ended += report.ended
            notes += report.notes
            for group in report.copies:
                notes += await _clear(group)
        return SweepReport(ended=tuple(ended), notes=tuple(notes))


async def _clear(group: str) -> list[str]:
    given = RemoveCopyInput(group=group, request_id=f"sweep-{workflow.info().run_id}")
    try:
        await workflow.start_child_workflow(
            "RemoveCopy",
            given,
            id=queues.rate_id(group),
            task_queue=queues.WORKFLOWS,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        )
    except WorkflowAlreadyStartedError:
        return []
    return [f"group {group}: the copy that a rating left behind is being removed"]
