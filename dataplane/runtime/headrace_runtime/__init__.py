"""What users' code imports: the decorators, the ways for one event to fail, and measures of its own.

>>> @transform
... def doubled(event):
...     return event | {"n": event["n"] * 2}
>>> doubled({"n": 2})
{'n': 4}
"""

from headrace_runtime.declaring import Function, Registry, registry, set_up, tear_down, transform
from headrace_runtime.failures import Failure, NonRecoverable, Recoverable
from headrace_runtime.measuring import count, observe, remaining_s, score

__version__ = "0.3.0"
__all__ = [
    "Failure",
    "Function",
    "NonRecoverable",
    "Recoverable",
    "Registry",
    "count",
    "observe",
    "registry",
    "remaining_s",
    "score",
    "set_up",
    "tear_down",
    "transform",
]
