"""Plans of rollouts: a day of people who apply, deploy, go back and hold, under the faults of all processes and stores."""

import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.sim.plan import Event, Plan
from tests.sim.world.observer_world import REPLICAS
from tests.sim.world.pipelines import EDGE
from tests.sim.world.rollout_services import CLIENTS, GROUPS, SERVICES, WORKER

HORIZON_S, HEAL_AT_S = 4200.0, 2400.0
BUSY_FROM_S = 300.0  # the groups are there by then, if nothing goes wrong
LAST_WORK_S = HEAL_AT_S - 100.0
PROCESSES = (*REPLICAS, *SERVICES, WORKER)
ORDERS = ("abort", "pause", "resume", "promote")
ROLLOUTS: tuple[dict[str, Any], ...] = (
    {"type": "rolling", "percents": [25, 100], "bake_s": 60}, {"type": "rolling", "percents": [10, 50, 100], "bake_s": 20},
    {"type": "canary", "percent": 10, "bake_s": 40}, {"type": "blue_green", "bake_s": 30},
)  # fmt: skip
PIPED, CHANGED = 0.5, 0.5  # of the seeds: with a pipeline; with people who cancel and destroy
Chance = random.Random


def rollout_plan(seed: int) -> Plan:
    """The plan of a seed about rollouts."""
    chance = Chance(f"{seed}/plan")
    style = chance.random()
    share = 0.0 if style < 0.15 else 0.4 if style < 0.7 else 0.8
    events: list[Event] = [{"at": 5.0, "do": "apply"}, *_work(chance), *_days(chance)]
    pipeline = Chance(f"{seed}/plan/pipeline")
    piped = pipeline.random() < PIPED
    if piped:
        events[0] = {**events[0], "kinds": {EDGE: "ingest"}}
        events += _pipeline(pipeline)
    minds = Chance(f"{seed}/plan/minds")
    if minds.random() < CHANGED:
        events += _changes_of_mind(minds)
    for fault in (*FAULTS, *(FAULTS_OF_PIPELINES if piped else ())):
        mine = Chance(f"{seed}/plan/{fault.__name__}")
        if mine.random() < share:
            events.extend(fault(mine))
    events = [{**e, "for_s": round(min(e["for_s"], HEAL_AT_S - e["at"]), 3)} if "for_s" in e else e for e in events]
    events.sort(key=lambda e: (e["at"], e["do"]))
    shuffle, quantum_s = chance.choice((0.0, 0.2, 1.0)), chance.choice((0.0, 0.05))
    return Plan("rollout", seed, HORIZON_S, HEAL_AT_S, shuffle, quantum_s, tuple(events))


def _times(chance: Chance, every_s: float, start_s: float = 20.0, end_s: float = HEAL_AT_S) -> Iterator[float]:
    at = start_s + chance.expovariate(1 / every_s)
    while at < end_s:
        yield round(at, 3)
        at += chance.expovariate(1 / every_s)


def _work(chance: Chance) -> Iterator[Event]:
    """Builds go out; one in four is bad; people change their minds."""
    for build, at in enumerate(_times(chance, 350.0, BUSY_FROM_S, LAST_WORK_S), start=2):
        group = chance.choice(GROUPS)
        variables = {"build": str(build)} | ({"quality": "bad"} if chance.random() < 0.3 else {})
        body: dict[str, Any] = {
            "group": group,
            "variables": variables,
            "wait": chance.random() < 0.7,
            "wait_s_max": 300,
        }
        if chance.random() < 0.5:
            body["rollout"] = chance.choice(ROLLOUTS)
        if chance.random() < 0.2:
            body["override_reason"] = "the new version is the fix"
        yield {"at": at, "do": "deploy", "body": body}
        for _ in range(chance.choice((0, 0, 0, 1, 2))):
            when = round(min(LAST_WORK_S, at + chance.uniform(5, 300)), 3)
            yield {"at": when, "do": "order", "group": group, "order": chance.choice(ORDERS)}


def _days(chance: Chance) -> Iterator[Event]:
    """What else happens on a day without faults: traffic, freezes, other bounds, changes by hand."""
    for at in _times(chance, 900.0, BUSY_FROM_S, LAST_WORK_S):
        yield {"at": at, "do": "roll_back", "group": chance.choice(GROUPS), "wait": chance.random() < 0.5}
    for at in _times(chance, 900.0, BUSY_FROM_S, LAST_WORK_S):
        scope = chance.choice(("system", *(f"group/{g}" for g in GROUPS)))
        yield {"at": at, "do": "freeze", "scope": scope, "seconds": round(chance.uniform(30, 300), 1)}
        if chance.random() < 0.3:
            yield {"at": round(at + 20.0, 3), "do": "unfreeze", "scope": scope}
    for at in _times(chance, 600.0, BUSY_FROM_S, LAST_WORK_S):
        yield {
            "at": at, "do": "load", "group": chance.choice(GROUPS), "factor": chance.choice((0.3, 1.5, 2.0, 3.0)),
            "for_s": round(chance.uniform(60, 900), 1),
        }  # fmt: skip
    for at in _times(chance, 1200.0, BUSY_FROM_S, LAST_WORK_S):
        nodes = chance.choice((6, 10))
        yield {"at": at, "do": "apply", "nodes_max": {chance.choice(GROUPS): nodes}}
    for at in _times(chance, 1200.0, BUSY_FROM_S, LAST_WORK_S):
        how = chance.choice(("MaxSize", "MinSize", "Ingress"))
        yield {"at": at, "do": "drift", "group": chance.choice(GROUPS), "field": how}


def _pipeline(chance: Chance) -> Iterator[Event]:
    """A pipeline comes, is told to hold, to go on, to step back; goes, comes again."""
    at = round(chance.uniform(BUSY_FROM_S, 900.0), 3)
    while at < LAST_WORK_S:
        yield {"at": at, "do": "apply", "ramp_bake_s": chance.choice((20, 40, 90))}
        for _ in range(chance.choice((0, 0, 1, 2))):
            when = round(min(LAST_WORK_S, at + chance.uniform(20, 400)), 3)
            yield {"at": when, "do": "ramp", "order": chance.choice(("hold", "resume", "back", "resume"))}
        at = round(at + chance.expovariate(1 / 900.0), 3)
        if at < LAST_WORK_S and chance.random() < 0.5:
            yield {"at": at, "do": "destroy_pipeline"}
            at = round(at + chance.expovariate(1 / 200.0), 3)


def _changes_of_mind(chance: Chance) -> Iterator[Event]:
    """People cancel what goes on, take a group away, and apply what is declared again."""
    for at in _times(chance, 300.0, 10.0, LAST_WORK_S):
        yield {"at": at, "do": "cancel", "nth": chance.randrange(3)}
    for at in _times(chance, 1200.0, BUSY_FROM_S, LAST_WORK_S - 400.0):
        yield {"at": at, "do": "destroy_group", "group": chance.choice(GROUPS)}
        yield {"at": round(at + chance.uniform(5, 300), 3), "do": "apply"}
    yield {"at": LAST_WORK_S, "do": "apply"}


def crashes(chance: Chance) -> Iterator[Event]:
    """Processes die and come back."""
    for at in _times(chance, 250.0):
        yield {"at": at, "do": "crash", "process": chance.choice(PROCESSES), "for_s": round(chance.uniform(0.1, 90), 2)}


def pauses(chance: Chance) -> Iterator[Event]:
    """Processes stand still and go on unaware."""
    for at in _times(chance, 250.0):
        yield {"at": at, "do": "pause", "process": chance.choice(PROCESSES), "for_s": round(chance.uniform(1, 90), 2)}


def partitions(chance: Chance) -> Iterator[Event]:
    """Some see some others, one way or both ways."""
    for at in _times(chance, 400.0):
        lone = chance.choice(PROCESSES)
        others = [p for p in (*PROCESSES, CLIENTS, "people") if p != lone and chance.random() < 0.7]
        ways = chance.choice(("to", "from", "both"))
        links = [[lone, o] for o in others if ways != "from"] + [[o, lone] for o in others if ways != "to"]
        if links:
            yield {"at": at, "do": "network", "cut": True, "links": links, "for_s": round(chance.uniform(1, 120), 1)}


def bad_weather(chance: Chance) -> Iterator[Event]:
    """Messages are lost, late or doubled."""
    everybody = (*PROCESSES, CLIENTS, "people")
    links = [[a, b] for a in everybody for b in everybody if a != b]
    for at in _times(chance, 300.0):
        some = [link for link in links if chance.random() < 0.3]
        given = {kind: round(chance.random() * 0.3, 3) for kind in ("lost", "late", "twice") if chance.random() < 0.6}
        if some and given:
            yield {"at": at, "do": "network", "links": some, "for_s": round(chance.uniform(20, 300), 1), **given}


def clocks(chance: Chance) -> Iterator[Event]:
    """Wall clocks jump by less than a second, as time servers allow; clocks run up to 1 % fast or slow."""
    for at in _times(chance, 500.0):
        yield {
            "at": at, "do": "clock", "process": chance.choice(PROCESSES), "for_s": round(chance.uniform(30, 600), 1),
            "step_s": round(chance.uniform(-0.9, 0.9), 2), "rate": round(chance.choice((1.0, chance.uniform(0.99, 1.01))), 4),
        }  # fmt: skip


def stores(chance: Chance) -> Iterator[Event]:
    """Transactions fail, commit unheard, take long; a store is gone. So with AWS."""
    for at in _times(chance, 250.0):
        event: dict[str, Any] = {
            "at": at, "do": "store", "store": chance.choice(("postgres", "postgres", "valkey", "aws", "metrics")),
            "for_s": round(chance.uniform(10, 200), 1),
        }  # fmt: skip
        if chance.random() < 0.2:
            event |= {"down": True, "for_s": round(chance.uniform(1, 60), 1)}
        else:
            event |= {
                k: round(chance.random() * 0.3, 3) for k in ("failed", "unheard", "slow") if chance.random() < 0.6
            }
        yield event


def temporal(chance: Chance) -> Iterator[Event]:
    """Workers forget their runs; answers of activities get lost; the server does not answer."""
    for at in _times(chance, 400.0):
        yield {
            "at": at, "do": "temporal", "evict": chance.choice((0.0, 0.2, 1.0)), "lost": chance.choice((0.0, 0.1, 0.3)),
            "for_s": round(chance.uniform(20, 300), 1),
        }  # fmt: skip


def illness(chance: Chance) -> Iterator[Event]:
    """Groups fall ill; sources go blind."""
    for at in _times(chance, 300.0, BUSY_FROM_S):
        blind = chance.random() < 0.4
        how = chance.choice(("cloud", "metrics") if blind else ("errors", "late", "near", "silent"))
        yield {
            "at": at, "do": "ill", "group": "" if blind else chance.choice(GROUPS), "how": how,
            "for_s": round(chance.uniform(20, 300), 1),
        }  # fmt: skip


def machines(chance: Chance) -> Iterator[Event]:
    """Machines die; EC2 has nothing to give in some zones."""
    for at in _times(chance, 400.0, BUSY_FROM_S):
        yield {"at": at, "do": "lose_machine", "group": chance.choice(GROUPS)}
    for at in _times(chance, 900.0, BUSY_FROM_S):
        yield {"at": at, "do": "no_capacity", "zones": chance.randint(1, 3), "for_s": round(chance.uniform(30, 400), 1)}


def places(chance: Chance) -> Iterator[Event]:
    """Services die or stand still right before or after a call to a store or to AWS."""
    for at in _times(chance, 300.0):
        yield {
            "at": at, "do": "places", "process": chance.choice((*SERVICES, *REPLICAS)),
            "crash": chance.choice((0.0, 0.01, 0.03)), "stall": chance.choice((0.0, 0.05)),
            "for_s": round(chance.uniform(30, 200), 1),
        }  # fmt: skip


def late_describes(chance: Chance) -> Iterator[Event]:
    """AWS describes things as they were some seconds ago, now and then as they are."""
    for at in _times(chance, 500.0):
        yield {
            "at": at, "do": "describe_late", "late_s": round(chance.uniform(1, 20), 1),
            "for_s": round(chance.uniform(60, 300), 1),
        }  # fmt: skip


def outages(chance: Chance) -> Iterator[Event]:
    """A service is away for longer than whoever needs it asks."""
    for at in _times(chance, 1500.0, BUSY_FROM_S):
        yield {"at": at, "do": "crash", "process": chance.choice(SERVICES), "for_s": round(chance.uniform(350, 900), 1)}


def engines(chance: Chance) -> Iterator[Event]:
    """Pulumi's processes die where they stand."""
    for at in _times(chance, 300.0):
        yield {"at": at, "do": "kill_engine"}


def forgetting(chance: Chance) -> Iterator[Event]:
    """Redis comes back empty."""
    for at in _times(chance, 900.0):
        yield {"at": at, "do": "forget_verdicts"}


def topics(chance: Chance) -> Iterator[Event]:
    """The broker fails, commits unheard, is slow or gone; its offsets and the audits of nodes are not to be had."""
    for at in _times(chance, 400.0):
        event: dict[str, Any] = {"at": at, "do": "store", "store": "kafka", "for_s": round(chance.uniform(10, 200), 1)}
        if chance.random() < 0.2:
            event |= {"down": True}
        else:
            event |= {k: round(chance.random() * 0.3, 3) for k in ("failed", "unheard", "slow")}
        yield event
    for at in _times(chance, 600.0, BUSY_FROM_S):
        yield {
            "at": at, "do": "ill", "group": "", "how": chance.choice(("broker", "audits")),
            "for_s": round(chance.uniform(20, 300), 1),
        }  # fmt: skip


FAULTS_OF_PIPELINES: tuple[Callable[[Chance], Iterator[Event]], ...] = (topics,)
FAULTS: tuple[Callable[[Chance], Iterator[Event]], ...] = (
    crashes, pauses, partitions, bad_weather, clocks, stores, temporal, illness, machines, engines, forgetting,
    places, late_describes, outages,
)  # fmt: skip
