"""What workflows ask of the Autoscaler, over a group with an old fleet of four nodes and a new one without."""

from shared.contracts.scaling import ReserveInput, ScaleInput
from tests.autoscaler.groups import GROUP, fleet, snapshot
from tests.autoscaler.world import World

TWO = snapshot(fleets=(fleet(4), fleet(0, 2, weight=0)))


def ask(
    w: World, share: float, floor: int = 0, token: int = 7, other_floor: int = 0, activity: str = "act-1"
) -> ReserveInput:
    return ReserveInput(
        group=GROUP,
        fleet="delays-r2",
        floor=floor,
        share=share,
        other_floor=other_floor,
        ttl_s=60,
        lease=w.lease(token, activity=activity),
    )


def scale(direction: str, before: int, after: int, decision_id: str = "dec-1") -> ScaleInput:
    return ScaleInput.model_validate(
        {
            "group": GROUP,
            "decision_id": decision_id,
            "direction": direction,
            "desired": {"delays-r1": after},
            "previous": {"delays-r1": before},
        }
    )
