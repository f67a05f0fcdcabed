"""What users' code imports: the `transform` decorator and the ways for one event to fail.

>>> @transform
... def doubled(event):
...     return event | {"n": event["n"] * 2}
>>> doubled({"n": 2})
{'n': 4}
"""

from headrace_runtime.declaring import Function, Registry, registry, transform
from headrace_runtime.failures import Failure, NonRecoverable, Recoverable

__version__ = "0.1.0"
__all__ = ["Failure", "Function", "NonRecoverable", "Recoverable", "Registry", "registry", "transform"]
