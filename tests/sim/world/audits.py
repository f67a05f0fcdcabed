"""Loss audits as nodes send them: each minute, a sketch of the ids that left each stage; a group that loses sends fewer."""

from collections.abc import Iterator
from functools import cache

from datasketches import update_theta_sketch

from services.observer.domain.audits import AuditPoint, AuditReport
from services.observer.domain.loss import BUCKET_S
from tests.sim.world.plant import Plant

IDS, KEPT = 200, 150


@cache
def sketch(count: int) -> bytes:
    """Of that many ids; the same ids every minute, which no comparison of one minute can tell."""
    made = update_theta_sketch(12)
    for number in range(count):
        made.update(f"{number}")
    return bytes(made.compact().serialize())


def reports(plant: Plant, minute: int) -> Iterator[AuditReport]:
    """What all nodes say about one minute of event time."""
    if plant.is_ill("", "audits"):
        return
    for pipeline, stages in sorted(plant.pipelines.items()):
        lost = False
        for stage, group in sorted(stages.items()):
            lost = lost or plant.is_ill(group, "loses")
            if plant.is_ill(group, "silent"):
                continue
            count, node = KEPT if lost and len(stages) > 1 and stage != min(stages) else IDS, f"i-{group}-0"
            yield AuditReport(
                f"{pipeline}-{stage}-{minute}", node, pipeline, AuditPoint(stage, "out"), minute, sketch(count), count,
                float(minute + BUCKET_S + 1),
            )  # fmt: skip
