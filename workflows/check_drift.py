"""CheckDrift: looks for resources that are not as declared, repairs what is the Provisioner's, and looks again.

Which findings are repaired follows from their class: security drift first and without waiting for a good verdict, then
managed and capacity drift; benign and destructive drift is reported, and so is what another service owns.
"""

from temporalio import workflow

from shared.contracts.activities import Nothing
from shared.contracts.progress import Progress
from shared.contracts.provisioning import DriftFinding, OperationResult, RepairDriftInput
from shared.domain.activity import ActivityKind
from workflows import stubs
from workflows.admitted import Admitted, begin_input, failed, text_of
from workflows.board import Board
from workflows.undo import UNDOABLE

ADMISSION_WAIT_S_MAX = 30.0  # the next run of the schedule asks again
GROUPS_MAX = 20  # repaired by one run
REPAIRED_CLASSES = frozenset({"security", "managed", "capacity"})
OWNER = "provisioner"


def to_repair(findings: tuple[DriftFinding, ...]) -> dict[str, tuple[DriftFinding, ...]]:
    """Findings to repair by group, groups with security drift first, then by name."""
    ours = [
        f
        for f in findings
        if f.drift_class in REPAIRED_CLASSES and f.owner == OWNER and f.state in {"open", "repairing"}
    ]
    groups = sorted({f.group for f in ours}, key=lambda g: (not is_security(g, ours), g))
    return {g: tuple(f for f in ours if f.group == g) for g in groups[:GROUPS_MAX]}


def is_security(group: str, findings: list[DriftFinding] | tuple[DriftFinding, ...]) -> bool:
    """Whether the group has security drift."""
    return any(f.group == group and f.drift_class == "security" for f in findings)


@workflow.defn(name="CheckDrift")
class CheckDrift:
    """One run of the schedule, or one asked for by a person."""

    @workflow.init
    def __init__(self) -> None:
        self._board = Board("drift")

    @workflow.query
    def progress(self) -> Progress:
        """Where it stands."""
        return self._board.shown

    @workflow.run
    async def run(self) -> OperationResult:
        """Done when nothing that is ours to repair is left; the details say what became of each group."""
        try:
            return await self._check()
        except UNDOABLE as failure:
            self._board.say("ended", text_of(failure))
            return failed(failure, [])

    async def _check(self) -> OperationResult:
        report = await stubs.check_drift(Nothing())
        wanted = to_repair(report.findings)
        if not wanted:
            text = f"{report.checked} groups checked, {len(report.findings)} findings, nothing to repair"
            return OperationResult(outcome="done", text=text)
        done = {group: await self._repair(group, found) for group, found in wanted.items()}
        again = await stubs.check_drift(Nothing())
        left = [f"{f.resource} {f.field}" for fs in to_repair(again.findings).values() for f in fs]
        details = {group: f"{r.outcome}: {r.text}" for group, r in done.items()}
        reasons = tuple(reason for r in done.values() for reason in r.reasons)
        text = f"{report.checked} groups checked, {len(wanted)} to repair" + (
            f"; left: {', '.join(left)}" if left else ""
        )
        refused = all(r.outcome == "refused" for r in done.values())
        outcome = "done" if not left else "refused" if refused else "failed"
        return OperationResult.model_validate(
            {"outcome": outcome, "text": text, "reasons": reasons, "details": details}
        )

    async def _repair(self, group: str, found: tuple[DriftFinding, ...]) -> OperationResult:
        fields = ", ".join(f"{f.resource} {f.field}: {f.live} -> {f.declared}" for f in found)
        request = begin_input(
            ActivityKind.DRIFT_REPAIR,
            f"group/{group}",
            f"{workflow.info().run_id}/{group}",
            reason=fields[:500],
            security=is_security(group, found),
        )
        admitted = Admitted(request, self._board)

        async def work() -> OperationResult:
            self._board.say("running", f"repairing {fields}")
            ids = tuple(f.id for f in found)
            made = await stubs.repair_drift(RepairDriftInput(group=group, finding_ids=ids, lease=admitted.lease))
            return OperationResult(outcome="done", text=f"{fields}; {made.updated} resources updated")

        return await admitted.run(work, wait_s_max=ADMISSION_WAIT_S_MAX)
