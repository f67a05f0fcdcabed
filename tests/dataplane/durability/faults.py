"""What goes wrong in a durability run: a plan that follows from a seed, so that a run can be had again."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Action = Literal[
    "kill node", "freeze node", "kill transform server", "extra node", "kill broker", "kill receiver", "receiver"
]
WEIGHTS: dict[Action, int] = {
    "kill node": 6,
    "freeze node": 2,
    "kill transform server": 3,
    "extra node": 2,
    "kill broker": 1,
    "kill receiver": 2,
    "receiver": 4,
}
MODES: tuple[dict[str, object], ...] = (
    {"status": 503},
    {"status": 429},
    {"wait_s": 0.5},
    {"reset": True},
)
FROZEN_S = 8.0  # longer than a member's session: it wakes as one whose partitions are another's
MISBEHAVES_S = (1.0, 4.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """`after_s` the fault before; `chance` in [0, 1) chooses among what there is; it lasts `for_s`."""

    after_s: float
    action: Action
    chance: float
    for_s: float
    mode: int

    def __str__(self) -> str:
        what = f"receiver {MODES[self.mode]}" if self.action == "receiver" else self.action
        return f"+{self.after_s:4.1f} s  {what} ({self.chance:.2f}) for {self.for_s:.1f} s"


def plan_of(seed: int, count: int, gap_s: float, actions: Sequence[Action] = tuple(WEIGHTS)) -> list[Fault]:
    """Every action at least once when `count` allows; the same for the same seed.

    >>> plan_of(7, 20, 2.0) == plan_of(7, 20, 2.0) != plan_of(8, 20, 2.0)
    True
    """
    chance = random.Random(seed)
    weights = [WEIGHTS[a] for a in actions]
    chosen = [*actions, *chance.choices(actions, weights, k=max(0, count - len(actions)))][:count]
    chance.shuffle(chosen)
    return [
        Fault(
            after_s=chance.uniform(0.5, 1.5) * gap_s,
            action=action,
            chance=chance.random(),
            for_s=FROZEN_S if action == "freeze node" else chance.uniform(*MISBEHAVES_S),
            mode=chance.randrange(len(MODES)),
        )
        for action in chosen
    ]
