"""Late departures: enriched with the airline, routed, scored by a transform group, and sent to whom they concern.

    ingest -> enrich -> route -+-> score -+-> page      the receiver; what it refuses comes back from the global retrier
                               |          |
                               +----------+-> archive   a topic

Beside the pipeline two groups serve planes by themselves: `planes-push` takes events, scores them by the same transform
group and keeps the newest of each plane; `planes` answers with them.

headrace plan examples/alerts
headrace apply examples/alerts

`ALERTS_TABLE` is an object of the bundle bucket with the columns code and name; `ALERTS_STORE` a Valkey, with its password
in the file `ALERTS_STORE_PASSWORD_FILE` on the nodes.
"""

import os

from headrace import (
    Branch,
    Enrich,
    Environment,
    FeatureServerGroup,
    FeatureServing,
    GroupCall,
    HttpIngest,
    HttpSink,
    IngestServerGroup,
    OnlineStore,
    Pipeline,
    ProvisionedScaling,
    PushIngest,
    Ramp,
    RetryPolicy,
    Rolling,
    Route,
    S3Table,
    Slo,
    Stage,
    StageServerGroup,
    TopicSink,
    Transform,
    TransformServerGroup,
    Transmit,
)

RECEIVER = os.environ.get("ALERTS_RECEIVER", "http://127.0.0.1:19401/events")
TABLE = os.environ.get("ALERTS_TABLE", "s3://headrace-bundles/tables/carriers.csv")
STORE = os.environ.get("ALERTS_STORE", "redis://127.0.0.1:6379/0")
STORE_PASSWORD_FILE = os.environ.get("ALERTS_STORE_PASSWORD_FILE", "")
PROMISE = Slo(availability=99.0, lag_p95_s=5)
ONE_NODE = ProvisionedScaling(desired_nodes=1)

alerts_env = Environment(name="alerts-env", requirements="requirements.txt")
risk = TransformServerGroup(
    name="risk",
    owner="alerts",
    environment=alerts_env,
    code="./transforms",
    scaling=ProvisionedScaling(desired_nodes=2),
    rollout=Rolling(percents=[50, 100], bake="4s"),
    slo=PROMISE,
)
ingest = IngestServerGroup(name="alerts-ingest", owner="alerts", scaling=ONE_NODE, slo=PROMISE)
enrich = StageServerGroup(name="alerts-enrich", owner="alerts", scaling=ONE_NODE, slo=PROMISE)
route = StageServerGroup(name="alerts-route", owner="alerts", scaling=ONE_NODE, slo=PROMISE)
score = StageServerGroup(name="alerts-score", owner="alerts", scaling=ONE_NODE, slo=PROMISE)
page = StageServerGroup(name="alerts-page", owner="alerts", scaling=ONE_NODE, slo=PROMISE)
archive = StageServerGroup(name="alerts-archive", owner="alerts", scaling=ONE_NODE, slo=PROMISE)

alerts = Pipeline(
    name="alerts",
    owner="alerts",
    partitions=4,
    stages=[
        Stage(name="ingest", group=ingest, work=HttpIngest(key_field="tail")),
        Stage(
            name="enrich",
            group=enrich,
            work=Enrich(
                source=S3Table(url=TABLE, format="csv", key="code"), field="carrier", into="airline", refresh_s="2s"
            ),
        ),
        Stage(
            name="route",
            group=route,
            work=Route(branches=[Branch(when="delay > 15", to=["score"])], default=["archive"]),
        ),
        Stage(name="score", group=score, work=Transform(function="risk", group=risk, batch_max=100, timeout_s="5s")),
        Stage(
            name="page",
            group=page,
            work=Transmit(sinks=[HttpSink(url=RECEIVER, batch_max=100)]),
            retry=RetryPolicy(attempts=2, first_s=0.1, max_s=0.5, patience_s=3, global_delays_s=[5, 10]),
        ),
        Stage(name="archive", group=archive, work=Transmit(sinks=[TopicSink(topic="alerts-archive")])),
    ],
    edges=[
        ("ingest", "enrich"),
        ("enrich", "route"),
        ("route", "score"),
        ("route", "archive"),
        ("score", "page"),
        ("score", "archive"),
    ],
    ramp=Ramp(percents=[50, 100], bake="3s"),
    slo=PROMISE,
)

store = OnlineStore(url=STORE, view="planes", password_file=STORE_PASSWORD_FILE)
by_risk = GroupCall(group=risk, function="risk", timeout_s="2s")
planes_push = IngestServerGroup(
    name="planes-push",
    owner="alerts",
    scaling=ONE_NODE,
    serving=PushIngest(topic="planes-scored", store=store, transform=by_risk, entity_field="tail", key_field="tail"),
    slo=PROMISE,
)
planes = FeatureServerGroup(
    name="planes",
    owner="alerts",
    scaling=ONE_NODE,
    serving=FeatureServing(store=store, transform=by_risk, defaults={"delay": 0}),
    slo=PROMISE,
)
