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
    WARMED_PENDING = "Warmed:Pending"
    WARMED_PENDING_WAIT = "Warmed:Pending:Wait"
    WARMED_PENDING_PROCEED = "Warmed:Pending:Proceed"
    WARMED_STOPPED = "Warmed:Stopped"
    WARMED_RUNNING = "Warmed:Running"
    WARMED_HIBERNATED = "Warmed:Hibernated"
    WARMED_TERMINATING = "Warmed:Terminating"
    WARMED_TERMINATING_WAIT = "Warmed:Terminating:Wait"
    WARMED_TERMINATING_PROCEED = "Warmed:Terminating:Proceed"
    WARMED_TERMINATED = "Warmed:Terminated"


S = Lifecycle
WARM_READY = frozenset({S.WARMED_STOPPED, S.WARMED_RUNNING, S.WARMED_HIBERNATED})
WARM_LAUNCHING = frozenset({S.WARMED_PENDING, S.WARMED_PENDING_WAIT, S.WARMED_PENDING_PROCEED})
WARM_LEAVING = frozenset({S.WARMED_TERMINATING, S.WARMED_TERMINATING_WAIT, S.WARMED_TERMINATING_PROCEED})
WARM = WARM_READY | WARM_LAUNCHING | WARM_LEAVING
TRANSITIONS: dict[Lifecycle, frozenset[Lifecycle]] = {
    S.PENDING: frozenset({S.PENDING_WAIT, S.IN_SERVICE, S.TERMINATING}),
    S.PENDING_WAIT: frozenset({S.PENDING_PROCEED, S.TERMINATING}),
    S.PENDING_PROCEED: frozenset({S.IN_SERVICE, S.TERMINATING}),
    S.IN_SERVICE: frozenset({S.TERMINATING, S.ENTERING_STANDBY, S.DETACHING}),
    S.ENTERING_STANDBY: frozenset({S.STANDBY, S.TERMINATING}),
    S.STANDBY: frozenset({S.PENDING, S.TERMINATING, S.DETACHING}),
    S.TERMINATING: frozenset({S.TERMINATING_WAIT, S.TERMINATING_PROCEED}),
    S.TERMINATING_WAIT: frozenset({S.TERMINATING_PROCEED}),
    S.TERMINATING_PROCEED: frozenset({S.TERMINATED, S.WARMED_PENDING}),
    S.TERMINATED: frozenset(),
    S.DETACHING: frozenset({S.DETACHED}),
    S.DETACHED: frozenset(),
    S.WARMED_PENDING: frozenset({S.WARMED_PENDING_WAIT, S.WARMED_TERMINATING}) | WARM_READY,
    S.WARMED_PENDING_WAIT: frozenset({S.WARMED_PENDING_PROCEED, S.WARMED_TERMINATING}),
    S.WARMED_PENDING_PROCEED: frozenset({S.WARMED_TERMINATING}) | WARM_READY,
    S.WARMED_STOPPED: frozenset({S.PENDING, S.WARMED_TERMINATING}),
    S.WARMED_RUNNING: frozenset({S.PENDING, S.WARMED_TERMINATING}),
    S.WARMED_HIBERNATED: frozenset({S.PENDING, S.WARMED_TERMINATING}),
    S.WARMED_TERMINATING: frozenset({S.WARMED_TERMINATING_WAIT, S.WARMED_TERMINATING_PROCEED}),
    S.WARMED_TERMINATING_WAIT: frozenset({S.WARMED_TERMINATING_PROCEED}),
    S.WARMED_TERMINATING_PROCEED: frozenset({S.WARMED_TERMINATED}),
    S.WARMED_TERMINATED: frozenset(),
}
LAUNCHING = frozenset({S.PENDING, S.PENDING_WAIT, S.PENDING_PROCEED})
LEAVING = frozenset({S.TERMINATING, S.TERMINATING_WAIT, S.TERMINATING_PROCEED})
CAPACITY = LAUNCHING | {S.IN_SERVICE}  # what counts against the desired capacity; standby does not


def target_of(state: Lifecycle, pool_state: str = "Stopped") -> str:
    """What the instance's metadata calls `target-lifecycle-state`: where it is going, seen from inside.

    `pool_state` is that of the group's warm pool, where an instance on its way into it will wait.

    >>> states = [Lifecycle.PENDING_WAIT, Lifecycle.TERMINATING_WAIT, Lifecycle.STANDBY]
    >>> [target_of(state) for state in states]
    ['InService', 'Terminated', 'Standby']
    >>> target_of(Lifecycle.WARMED_PENDING_WAIT, "Running"), target_of(Lifecycle.WARMED_TERMINATING)
    ('Warmed:Running', 'Warmed:Terminated')
    """
    if state in CAPACITY:
        return S.IN_SERVICE.value
    if state in LEAVING or state is S.TERMINATED:
        return S.TERMINATED.value
    if state in WARM_READY:
        return state.value
    if state in WARM or state is S.WARMED_TERMINATED:
        return f"Warmed:{pool_state}" if state in WARM_LAUNCHING else S.WARMED_TERMINATED.value
    return (S.STANDBY if state in {S.STANDBY, S.ENTERING_STANDBY} else S.DETACHED).value
