"""What a running operation says of itself: a plan a line for each object, as the workflow of that object tells it; all else one line."""

import asyncio
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from services.admin_api.domain.ports import Workflows
from services.admin_api.operations.views import ProgressLine, ReasonView
from shared.contracts.apply import ObjectProgress
from shared.contracts.progress import Progress

ENDED = "ended"


async def progress_lines(workflows: Workflows, workflow_id: str, run_id: str, subject: str) -> Sequence[ProgressLine]:
    """None where nobody answers, or not what was expected; HeadraceError when Temporal is away."""
    answer = await workflows.progress(workflow_id, run_id)
    if isinstance(answer, list):
        try:
            objects = [ObjectProgress.model_validate(line) for line in answer]
        except ValidationError:
            return ()
        return await asyncio.gather(*(_of_object(workflows, one) for one in objects))
    line = _line(answer, subject)
    return () if line is None else (line,)


async def _of_object(workflows: Workflows, one: ObjectProgress) -> ProgressLine:
    """As its own workflow tells it while it runs: what it waits for, and why."""
    told = _line(await workflows.progress(one.workflow_id, ""), one.object) if one.workflow_id else None
    if told is None or told.state == ENDED:
        return ProgressLine(object=one.object, state=one.state, text=one.text)
    return told.model_copy(update={"object": one.object})


def _line(answer: Any, subject: str) -> ProgressLine | None:
    if not isinstance(answer, dict):
        return None
    try:
        p = Progress.model_validate({"subject": subject} | answer)
    except ValidationError:
        return None
    reasons: tuple[ReasonView, ...] = p.reasons
    return ProgressLine(
        object=p.subject, state=p.phase, text=p.text, step=p.step, steps=p.steps, reasons=reasons, since=p.since
    )
