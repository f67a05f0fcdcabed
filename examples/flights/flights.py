"""Every departure from New York in 2013, scored as it leaves: an environment, four groups, a pipeline.

headrace plan examples/flights
headrace apply examples/flights
"""

import os

from headrace import (
    Autoscaling,
    CpuTarget,
    Environment,
    HttpIngest,
    HttpSink,
    IngestServerGroup,
    LagTarget,
    Normalize,
    Pipeline,
    ProvisionedScaling,
    Ramp,
    RetryPolicy,
    Rolling,
    Slo,
    Stage,
    StageServerGroup,
    Topic,
    TopicSink,
    Transform,
    TransformServerGroup,
    Transmit,
)

RECEIVER = os.environ.get("FLIGHTS_RECEIVER", "http://127.0.0.1:19400/events")
PROMISE = Slo(availability=99.0, lag_p95_s=4)
ONE_NODE = ProvisionedScaling(desired_nodes=1)

flights_env = Environment(name="flights-env", requirements="requirements.txt", description="what the scoring needs")

ingest = IngestServerGroup(name="departures-ingest", owner="flights", scaling=ONE_NODE, slo=PROMISE)
normalize = StageServerGroup(name="departures-normalize", owner="flights", scaling=ONE_NODE, slo=PROMISE)
delays = TransformServerGroup(
    name="delays",
    owner="flights",
    environment=flights_env,
    code="./transforms",
    scaling=Autoscaling(
        min_nodes=2,
        max_nodes=8,
        node_rate=550,  # until it has been measured
        targets=[LagTarget(seconds=4), CpuTarget(percent=80)],
        scale_in_after="10s",
    ),
    rollout=Rolling(percents=[50, 100], bake="4s"),
    slo=PROMISE,
)
transmit = StageServerGroup(name="departures-transmit", owner="flights", scaling=ONE_NODE, slo=PROMISE)

scored = Topic(name="departures-scored")

departures = Pipeline(
    name="departures",
    owner="flights",
    partitions=12,
    stages=[
        Stage(name="ingest", group=ingest, work=HttpIngest(key_field="tailnum")),
        Stage(
            name="normalize",
            group=normalize,
            work=Normalize(
                required=["id", "event_time", "origin", "dest", "carrier"],
                rename={"sched_dep_time": "scheduled_departure"},
                defaults={"dep_delay": 0},
            ),
        ),
        Stage(
            name="transform",
            group=delays,
            work=Transform(function="score", batch_max=50),
            retry=RetryPolicy(attempts=3, first_s=0.05, max_s=0.5),
        ),
        Stage(
            name="transmit",
            group=transmit,
            work=Transmit(
                sinks=[HttpSink(url=RECEIVER, batch_max=500), TopicSink(topic=Topic(name="departures-scored"))]
            ),
        ),
    ],
    edges=[("ingest", "normalize"), ("normalize", "transform"), ("transform", "transmit")],
    ramp=Ramp(percents=[5, 25, 100], bake="3s"),
    slo=PROMISE,
)
