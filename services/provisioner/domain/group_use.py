"""Who needs a group: while somebody does, it is not removed."""

from collections.abc import Iterable

from services.provisioner.domain.group import Group
from services.provisioner.domain.pipeline import PipelineState
from shared.domain.errors import Refused
from shared.domain.reason import Reason, Remedy


def refuse_while_used(group: Group, pipelines: Iterable[PipelineState]) -> None:
    """Refused while a stage runs on it or calls it; every such stage is named."""
    uses = [
        (p.intent.name, f"stage {s.name} of pipeline {p.intent.name} {verb} it")
        for p in pipelines
        for s in p.intent.stages
        for verb, name in (("runs on", s.group), ("calls", s.calls))
        if name == group.name
    ]
    if not uses and group.seat:  # a pipeline that is half gone
        uses = [(group.seat.pipeline, f"stage {group.seat.stage} of pipeline {group.seat.pipeline} runs on it")]
    if not uses:
        return
    reasons = tuple(
        Reason(
            "InUse",
            f"group/{group.name}",
            text,
            remedy=(Remedy("destroy the pipeline, or change the stage", f"headrace destroy pipeline {pipeline}"),),
        )
        for pipeline, text in uses
    )
    raise Refused(
        f"group {group.name}: {'; '.join(r.text for r in reasons)}",
        remedy="destroy the pipeline first, or give the stage another group",
        reasons=reasons,
    )
