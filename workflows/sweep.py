"""Sweep: what a terminated workflow or a dead worker left behind is ended or adopted, by each service for its own."""

from temporalio import workflow
from temporalio.exceptions import FailureError

from shared.contracts.activities import Nothing, SweepReport
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
        return SweepReport(ended=tuple(ended), notes=tuple(notes))
