"""A deployment's states as data: which state follows which on what, and which are final."""

from enum import StrEnum

from shared.domain.errors import Conflict
from shared.domain.names import DeploymentId


class Phase(StrEnum):
    """Where a deployment stands."""

    PLANNED = "PLANNED"
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    ROLLING_BACK = "ROLLING_BACK"
    FINISHED = "FINISHED"
    ROLLED_BACK = "ROLLED_BACK"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"
    REFUSED = "REFUSED"


P = Phase
FINAL = frozenset({P.FINISHED, P.ROLLED_BACK, P.FAILED, P.CANCELLED, P.SUPERSEDED, P.REFUSED})
STEP_PHASE = {"started": P.RUNNING, "waiting": P.WAITING, "done": P.RUNNING, "failed": P.ROLLING_BACK}
TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    P.PLANNED: frozenset({P.RUNNING, P.WAITING, P.ROLLING_BACK, P.FAILED, P.CANCELLED, P.SUPERSEDED, P.REFUSED}),
    P.WAITING: frozenset({P.RUNNING, P.ROLLING_BACK, P.FINISHED, P.ROLLED_BACK, P.FAILED, P.CANCELLED}),
    P.RUNNING: frozenset({P.WAITING, P.ROLLING_BACK, P.FINISHED, P.ROLLED_BACK, P.FAILED, P.CANCELLED}),
    P.ROLLING_BACK: frozenset({P.ROLLED_BACK, P.FAILED, P.CANCELLED}),
    **{final: frozenset() for final in FINAL},
}


def follow(deployment: DeploymentId, now: Phase, after: Phase) -> Phase:
    """The next state; the same one again is no change. Conflict names a transition that does not exist.

    A late record of a step does not take a rollback or an end back.

    >>> follow(DeploymentId("d"), Phase.RUNNING, Phase.FINISHED)
    <Phase.FINISHED: 'FINISHED'>
    """
    if after is now or after in TRANSITIONS[now]:
        return after
    raise Conflict(
        f"deployment {deployment} is {now} and cannot become {after}",
        remedy="it may become " + (", ".join(sorted(TRANSITIONS[now])) or "nothing else: it has ended"),
    )


def follow_step(now: Phase, state: str) -> Phase:
    """The state after a record of a step; what has ended or goes back stays so."""
    after = STEP_PHASE[state]
    return after if after is now or after in TRANSITIONS[now] else now
