"""Pure decisions of the Observer: admission, verdicts, loss, alarms and quieting.

Instants are seconds since the epoch.
"""
