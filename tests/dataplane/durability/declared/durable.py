"""The pipeline of a durability run, as `headrace apply` takes it."""

import os

from headrace import (
    Branch,
    Environment,
    HttpIngest,
    HttpSink,
    IngestServerGroup,
    Pipeline,
    ProvisionedScaling,
    Ramp,
    RetryPolicy,
    Route,
    Stage,
    StageServerGroup,
    Transform,
    TransformServerGroup,
    Transmit,
)

TWO = ProvisionedScaling(desired_nodes=2)
RETRY = RetryPolicy(attempts=4, max_s=1, global_delays_s=[2, 5, 15])
SINK = HttpSink(url=os.environ["DURABLE_RECEIVER"], batch_max=200)

environment = Environment(name="durable-env", requirements="requirements.txt")
ingest = IngestServerGroup(name="g-ingest", scaling=TWO)
route = StageServerGroup(name="g-route", scaling=TWO)
transform = TransformServerGroup(name="g-transform", environment=environment, code="./users", scaling=TWO)
transmit = StageServerGroup(name="g-transmit", scaling=TWO)
durable = Pipeline(
    name="durable",
    partitions=6,
    stages=[
        Stage(name="ingest", group=ingest, work=HttpIngest(key_field="key")),
        Stage(
            name="route",
            group=route,
            work=Route(branches=[Branch(when="n % 2 == 0", to=["transform"])], default=["transmit"]),
            retry=RETRY,
        ),
        Stage(name="transform", group=transform, work=Transform(function="score"), retry=RETRY),
        Stage(name="transmit", group=transmit, work=Transmit(sinks=[SINK]), retry=RETRY),
    ],
    edges=[("ingest", "route"), ("route", "transform"), ("route", "transmit"), ("transform", "transmit")],
    ramp=Ramp(percents=[100], bake="1s"),
)
