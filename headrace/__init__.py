"""What users import and type: the declarative SDK and the `headrace` command.

Objects at the top level of a Python file are what `headrace plan DIR` and `headrace apply DIR` find. Making one has no
side effect and opens no connection; what is wrong with it is said at once, with the field, the value and the remedy.

>>> env = Environment(name="fraud-env", requirements="headrace-runtime")
>>> fraud = TransformServerGroup(
...     name="fraud",
...     environment=env,
...     scaling=Autoscaling(min_nodes=2, max_nodes=20),
...     rollout=Canary(percent=10, bake="5m"),
... )
>>> fraud.spec()["rollout"]
{'type': 'canary', 'percent': 10, 'bake_s': 300.0}
"""

from typing import Any

from headrace.declaring import Declared, HeadraceObject
from headrace.environments import Environment
from headrace.errors import DeclarationError
from headrace.groups import FeatureServerGroup, IngestServerGroup, ServerGroup, StageServerGroup, TransformServerGroup
from headrace.loading import Loaded, load
from headrace.pipelines import (
    Branch,
    Edge,
    Enrich,
    FileTable,
    HttpIngest,
    HttpSink,
    HttpTable,
    Normalize,
    Pipeline,
    Ramp,
    RetryPolicy,
    Route,
    S3Table,
    Stage,
    Topic,
    TopicSink,
    Transform,
    Transmit,
    ValkeyTable,
)
from headrace.rollouts import BlueGreen, Canary, InPlace, Rolling, Rollout
from headrace.scaling import (
    Autoscaling,
    CpuTarget,
    LagTarget,
    MetricTarget,
    ProvisionedScaling,
    Slo,
)
from headrace.serving import FeatureServing, GroupCall, OnlineStore, PushIngest

__all__ = [
    "Autoscaling",
    "BlueGreen",
    "Branch",
    "Canary",
    "CpuTarget",
    "DeclarationError",
    "Declared",
    "Edge",
    "Enrich",
    "Environment",
    "FeatureServerGroup",
    "FeatureServing",
    "FileTable",
    "GroupCall",
    "HeadraceObject",
    "HttpIngest",
    "HttpSink",
    "HttpTable",
    "InPlace",
    "IngestServerGroup",
    "LagTarget",
    "Loaded",
    "MetricTarget",
    "Normalize",
    "OnlineStore",
    "Pipeline",
    "ProvisionedScaling",
    "PushIngest",
    "Ramp",
    "RetryPolicy",
    "Rolling",
    "Rollout",
    "Route",
    "S3Table",
    "ServerGroup",
    "Slo",
    "Stage",
    "StageServerGroup",
    "Topic",
    "TopicSink",
    "Transform",
    "TransformServerGroup",
    "Transmit",
    "ValkeyTable",
    "load",
]


def __getattr__(name: str) -> Any:
    """`transform` is the runtime's decorator; it is there when `headrace-runtime` is installed."""
    if name != "transform":
        raise AttributeError(f"module 'headrace' has no attribute {name!r}")
    try:
        from headrace_runtime import transform
    except ImportError as e:
        raise ImportError("headrace.transform needs the runtime: `pip install headrace-runtime`") from e
    return transform
