"""A stage in a process of its own, for tests that kill it: `python -m tests.dataplane.stage_process PLAN_JSON`."""

import json
import signal
import sys

from dataplane.stages.audits import AuditBook
from dataplane.stages.measures import Measures
from dataplane.stages.normalizing import Normalizing
from dataplane.stages.stage_loop import StageLoop, StagePlan
from shared.contracts.node import KafkaAccess
from shared.contracts.objects import Normalize, RetryPolicy

given = json.loads(sys.argv[1])
access, retry = KafkaAccess(**given.pop("access")), RetryPolicy()
topics_out = tuple(given.pop("topics_out"))
plan = StagePlan(access=access, retry=retry, topics_out=topics_out, **given)
Normalizing.batch_max = 50  # many small batches: a kill hits every place of the loop
StageLoop(plan, Normalizing(Normalize()), Measures({}, {}), AuditBook()).start()
signal.pause()
