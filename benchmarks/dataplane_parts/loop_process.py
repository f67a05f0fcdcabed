"""One consume-produce loop in a process of its own: `python -m benchmarks.dataplane_parts.loop_process JSON`.

Reads `count` messages of a topic that is full, hands them on, and says how long that took from the first message to the
last acknowledgement, and what it cost of the processor. `bare` is the baseline: the least that confluent-kafka needs
in Python, with the same durability; the others are a stage as a node runs it, with histograms, audits and commits.
"""

import json
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

from confluent_kafka import Consumer, Producer

from dataplane.stages.audits import AuditBook
from dataplane.stages.calls_at_once import SeveralAtOnce
from dataplane.stages.events import Event, Outcome, Work, same
from dataplane.stages.kafka_clients import consumer_settings, producer_settings
from dataplane.stages.measures import Measures
from dataplane.stages.stage_loop import StageLoop, StagePlan
from dataplane.stages.transforming import Transforming
from shared.contracts.node import KafkaAccess
from shared.contracts.objects import RetryPolicy, Transform

REPORT_EVERY_S = 2.0  # as the node's reporter
POLL_S = 0.02
GIVE_UP_S = 300.0
BARE_BATCH, PASS_BATCH, USERS_BATCH = 500, 2_000, 500


class Passing:
    """`Work` that changes nothing."""

    batch_max = PASS_BATCH

    def run(self, events: list[Event]) -> list[Outcome]:
        """Each goes on as it came."""
        return [same(event, event.value) for event in events]

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to run."""

    kind: str  # bare, pass, users, or link: a stage of a chain, until it is terminated
    access: KafkaAccess
    topic_in: str
    topic_out: str
    count: int
    socket: str = ""


def bare(task: Task) -> tuple[float, float]:
    """The baseline; seconds, and seconds of the processor."""
    consumer = Consumer(consumer_settings(task.access, f"bare-{time.time_ns()}", "bare"))
    consumer.subscribe([task.topic_in])
    producer = Producer(producer_settings(task.access, "bare"))
    done, began, began_cpu = 0, 0.0, 0.0
    while done < task.count:
        messages = consumer.consume(BARE_BATCH, 0.1)
        if messages and not began:
            began, began_cpu = time.monotonic(), time.process_time()
        for message in messages:
            headers: Any = message.headers()
            while True:
                try:
                    producer.produce(task.topic_out, message.value(), message.key(), headers=headers)
                except BufferError:
                    producer.poll(0.01)
                else:
                    break
        producer.poll(0)
        done += len(messages)
    producer.flush()
    consumer.commit(offsets=consumer.position(consumer.assignment()), asynchronous=False)
    took = time.monotonic() - began, time.process_time() - began_cpu
    consumer.close()
    return took


def stage(task: Task) -> tuple[float, float]:
    """A stage; seconds, and seconds of the processor."""
    measures, book = Measures({}, {}), AuditBook()
    work: Work = Passing()
    if task.kind == "users":
        work = SeveralAtOnce(Transforming(Transform(function="", batch_max=USERS_BATCH), Path(task.socket), measures))
    plan = StagePlan(
        name=task.kind,
        access=task.access,
        client=task.kind,
        topic_in=task.topic_in,
        topics_out=(task.topic_out,),
        topic_dead=f"{task.topic_out}.dead",
        consumer_group=f"{task.kind}-{time.time_ns()}",
        retry=RetryPolicy(),
    )
    ended = Flag()

    def report() -> None:
        while not ended.wait(REPORT_EVERY_S):
            book.taken(book.changed(time.time(), held_back=False))

    Thread(target=report, daemon=True).start()
    loop = StageLoop(plan, work, measures, book)
    loop.start()
    began = began_cpu = 0.0
    give_up = time.monotonic() + GIVE_UP_S
    while counted(measures, "headrace_messages_out_total") < task.count:
        if not began and counted(measures, "headrace_messages_in_total"):
            began, began_cpu = time.monotonic(), time.process_time()
        if time.monotonic() > give_up:
            raise TimeoutError(f"{task.kind}: not done after {GIVE_UP_S:g} s: {loop.detail}")
        time.sleep(POLL_S)
    took = time.monotonic() - began, time.process_time() - began_cpu
    ended.set()
    loop.stop()
    return took


def link(task: Task) -> None:
    """A stage as a node runs it; says so on standard output, and ends when it is told to."""
    plan = StagePlan(
        name=task.topic_in,
        access=task.access,
        client=task.topic_in,
        topic_in=task.topic_in,
        topics_out=(task.topic_out,),
        topic_dead=f"{task.topic_in}.dead",
        consumer_group=task.topic_in,
        retry=RetryPolicy(),
    )
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # of all threads: this one waits for it
    loop = StageLoop(plan, Passing(), Measures({}, {}), AuditBook())
    loop.start()
    signal.sigwait({signal.SIGTERM})
    loop.stop()


def counted(measures: Measures, name: str) -> int:
    """A counter as Prometheus would read it."""
    return next((int(float(line.rpartition(" ")[2])) for line in measures.lines() if line.startswith(name + "{")), 0)


def main() -> None:
    """Prints one JSON object."""
    given = json.loads(sys.argv[1])
    task = Task(**(given | {"access": KafkaAccess(**given["access"])}))
    if task.kind == "link":
        link(task)
        return
    seconds, cpu_s = bare(task) if task.kind == "bare" else stage(task)
    print(json.dumps({"seconds": seconds, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
