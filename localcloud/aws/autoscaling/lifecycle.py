"""The states of an instance in its group, and which may follow which. This table is the law: `move` refuses the rest.

After "Amazon EC2 Auto Scaling instance lifecycle" in the user guide. An instance that has left the group (Terminated,
Detached) is no longer listed by AWS; those two states appear only as the last of its history.
"""

from enum import StrEnum


class Lifecycle(StrEnum):
    """As AWS spells it."""

    PENDING = "Pending"
    PENDING_WAIT = "Pending:Wait"
    PENDING_PROCEED = "Pending:Proceed"
    IN_SERVICE = "InService"
    ENTERING_STANDBY = "EnteringStandby"
    STANDBY = "Standby"
    TERMINATING = "Terminating"
    TERMINATING_WAIT = "Terminating:Wait"
    TERMINATING_PROCEED = "Terminating:Proceed"
    TERMINATED = "Terminated"
    DETACHING = "Detaching"
    DETACHED = "Detached"


S = Lifecycle
TRANSITIONS: dict[Lifecycle, frozenset[Lifecycle]] = {
    S.PENDING: frozenset({S.PENDING_WAIT, S.IN_SERVICE, S.TERMINATING}),
    S.PENDING_WAIT: frozenset({S.PENDING_PROCEED, S.TERMINATING}),
    S.PENDING_PROCEED: frozenset({S.IN_SERVICE, S.TERMINATING}),
    S.IN_SERVICE: frozenset({S.TERMINATING, S.ENTERING_STANDBY, S.DETACHING}),
    S.ENTERING_STANDBY: frozenset({S.STANDBY, S.TERMINATING}),
    S.STANDBY: frozenset({S.PENDING, S.TERMINATING, S.DETACHING}),
    S.TERMINATING: frozenset({S.TERMINATING_WAIT, S.TERMINATING_PROCEED}),
    S.TERMINATING_WAIT: frozenset({S.TERMINATING_PROCEED}),
    S.TERMINATING_PROCEED: frozenset({S.TERMINATED}),
    S.TERMINATED: frozenset(),
    S.DETACHING: frozenset({S.DETACHED}),
    S.DETACHED: frozenset(),
}
LAUNCHING = frozenset({S.PENDING, S.PENDING_WAIT, S.PENDING_PROCEED})
LEAVING = frozenset({S.TERMINATING, S.TERMINATING_WAIT, S.TERMINATING_PROCEED})
CAPACITY = LAUNCHING | {S.IN_SERVICE}  # what counts against the desired capacity; standby does not


def target_of(state: Lifecycle) -> str:
    """What the instance's metadata calls `target-lifecycle-state`: where it is going, seen from inside.

    >>> states = [Lifecycle.PENDING_WAIT, Lifecycle.TERMINATING_WAIT, Lifecycle.STANDBY]
    >>> [target_of(state) for state in states]
    ['InService', 'Terminated', 'Standby']
    """
    if state in CAPACITY:
        return S.IN_SERVICE.value
    if state in LEAVING or state is S.TERMINATED:
        return S.TERMINATED.value
    return (S.STANDBY if state in {S.STANDBY, S.ENTERING_STANDBY} else S.DETACHED).value
