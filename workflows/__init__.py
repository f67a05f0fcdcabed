"""Temporal workflows, typed activity stubs, timeouts and queues; they interpret plans and hold no rules."""
