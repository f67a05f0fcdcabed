"""How Auto Scaling groups behave, as a state machine that does no I/O.

A `World` holds the groups. API calls (`groups`, `members`, `hooks`, `tags`, `processes`) only write down what is wanted
and wake the group; `reconcile.step` then does what is due: it takes no input but the group and the time, so the same
code path runs after a call, after a timeout, after a machine died and after a restart. Time is a port (`clock`), and so
is what launches machines (`compute`). Nothing here knows HTTP, moto or processes.
"""
