"""A seed expanded into a plan: what is asked for, and what goes wrong.

Half of the seeds have each kind of fault with a chance of one half (swarm), most others have all, some have none; half
of them round network delays, so that messages meet.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.sim.plan import Event, Plan
from tests.sim.seeds_of_rollouts import late_describes, rollout_plan
from tests.sim.world.observer_world import GROUPS, HOLDERS, PIPELINES, REPLICAS
from tests.sim.world.scaling_world import SCALERS, WORKER

HORIZON_S, HEAL_AT_S = 3600.0, 2400.0
PROCESSES = (*REPLICAS, *HOLDERS)
KINDS = (
    ("deployer", "DEPLOY", 5), ("deployer", "ROLLBACK", 2), ("provisioner", "RAMP", 2), ("provisioner", "PROVISION", 2),
    ("provisioner", "DRIFT_REPAIR", 2), ("autoscaler", "SCALE_OUT", 4), ("autoscaler", "SCALE_IN", 4),
    ("people", "FREEZE", 3),
)  # fmt: skip
QUIETABLE = ("capacity", "instance_churn", "lag_warn", "cpu_high", "loss")
Chance = random.Random


def plan_of(seed: int) -> Plan:
    """The plan of a seed; every third one is about scaling, every twelfth about rollouts."""
    if seed % 12 == 1:
        return rollout_plan(seed)
    scenario = "scaling" if seed % 3 == 2 else "admission"
    chance = Chance(f"{seed}/plan")
    style = chance.random()
    share = 0.0 if style < 0.1 else 0.5 if style < 0.55 else 1.0
    scaling = scenario == "scaling"
    turns = Chance(f"{seed}/plan/turns")
    events: list[Event] = [_turned(e, turns) for e in _work(chance, scaling=scaling)]
    if scaling:
        events.extend(_loads(Chance(f"{seed}/plan/load")))
    for fault in (*FAULTS, *SCALING_FAULTS) if scaling else FAULTS:
        mine = Chance(f"{seed}/plan/{fault.__name__}")
        if mine.random() < share:
            events.extend(fault(mine))
    if scaling:
        events = [_recast(e, Chance(f"{seed}/plan/cast/{n}")) for n, e in enumerate(events)]
    events = [_healed(e) for e in events]
    events.sort(key=lambda e: (e["at"], e["do"]))
    shuffle = chance.choice((0.0, 0.2, 1.0))
    quantum_s = chance.choice((0.0, 0.05))
    return Plan(scenario, seed, HORIZON_S, HEAL_AT_S, shuffle, quantum_s, tuple(events))


def _turned(event: Event, chance: Chance) -> Event:
    """Work does not always go its way: a step fails, whoever stands for long has enough, a rollback follows one deployment."""
    if event["do"] != "work":
        return event
    fails, tires, follows = chance.random() < 0.1, chance.random() < 0.3, chance.choice(("", "live", "live", "gone"))
    last_step, patience_s = chance.randint(0, 3), round(chance.uniform(20, 300), 1)
    outcome = chance.choice(("failed", "cancelled", "done"))
    turns: dict[str, Any] = {}
    if fails:
        turns["fails_after"] = last_step
    if tires:
        turns |= {"patience_s": patience_s, "gives_up": outcome}
    if event["kind"] == "ROLLBACK" and follows:
        turns["follows"] = follows
    return {**event, **turns}


def _healed(event: Event) -> Event:
    """No fault outlasts the healing; what people ask for does."""
    if "for_s" not in event or event["do"] == "quiet":
        return event
    return {**event, "for_s": round(min(event["for_s"], HEAL_AT_S - event["at"]), 3)}


def _recast(event: Event, chance: Chance) -> Event:
    """Faults of the one who stands in for the Autoscaler become those of its replicas, or of their worker."""
    cast = {"autoscaler": chance.choice((*SCALERS, WORKER))}
    given = dict(event)
    if "process" in event:
        given["process"] = cast.get(event["process"], event["process"])
    if "links" in event:
        given["links"] = [[cast.get(name, name) for name in link] for link in event["links"]]
    return given


def _times(chance: Chance, every_s: float, start_s: float = 5.0) -> Iterator[float]:
    at = start_s + chance.expovariate(1 / every_s)
    while at < HEAL_AT_S:
        yield round(at, 3)
        at += chance.expovariate(1 / every_s)


def _scope(chance: Chance, kind: str) -> str:
    roll = chance.random()
    if kind in {"RAMP", "FREEZE"} and roll < 0.4:
        return "system" if kind == "FREEZE" and roll < 0.1 else f"pipeline/{chance.choice(sorted(PIPELINES))}"
    if roll > 0.95:
        pipeline = chance.choice(sorted(PIPELINES))
        return f"stage/{pipeline}/{chance.choice(sorted(PIPELINES[pipeline]))}"
    return f"group/{chance.choice(GROUPS)}"


def _loads(chance: Chance) -> Iterator[Event]:
    """Traffic goes up and down, by a little and by a lot."""
    for at in _times(chance, 300.0, 60.0):
        factor = round(chance.choice((0.2, 0.5, 1.5, 2.0, 3.0, 4.0)), 2)
        for_s = round(chance.uniform(60, 900), 1)
        yield {"at": at, "do": "load", "group": chance.choice(GROUPS), "factor": factor, "for_s": for_s}


def _work(chance: Chance, *, scaling: bool) -> Iterator[Event]:
    every_s = 300.0 if scaling else chance.choice((40.0, 80.0, 160.0))
    weights = [0 if scaling and process == "autoscaler" else w for process, _, w in KINDS]
    for number, at in enumerate(_times(chance, every_s, 40.0)):
        process, kind, _ = chance.choices(KINDS, weights)[0]
        event: dict[str, Any] = {
            "at": at, "do": "work", "id": number, "process": process, "kind": kind, "scope": _scope(chance, kind),
            "steps": chance.randint(1, 4), "step_s": round(chance.uniform(2, 60), 1),
        }  # fmt: skip
        if kind == "SCALE_OUT":
            event["signal_age_s"] = chance.choice((1.0, 20.0, 59.0, 75.0, None))
        if kind == "PROVISION":
            event["creates"] = chance.random() < 0.5
        if kind == "DRIFT_REPAIR":
            event["security"] = chance.random() < 0.3
        if kind in {"DEPLOY", "RAMP"} and chance.random() < 0.2:
            event["override"] = "the new version is the fix"
        if chance.random() < 0.4:
            event["quiets"] = chance.sample(QUIETABLE, 2)
        if kind == "FREEZE":
            event |= {"ttl_s": round(chance.uniform(30, 300), 1), "steps": 0}
        yield event
        if kind == "FREEZE" and chance.random() < 0.3:
            yield {"at": at + 20.0, "do": "lift", "scope": event["scope"]}
        if chance.random() < 0.05:
            yield {
                "at": at, "do": "quiet", "id": number, "scope": f"group/{chance.choice(GROUPS)}",
                "for_s": round(chance.uniform(10, 900), 1),
            }  # fmt: skip


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
        others = [p for p in PROCESSES if p != lone and chance.random() < 0.7]
        ways = chance.choice(("to", "from", "both"))
        links = [[lone, o] for o in others if ways != "from"] + [[o, lone] for o in others if ways != "to"]
        if links:
            yield {"at": at, "do": "network", "cut": True, "links": links, "for_s": round(chance.uniform(1, 120), 1)}


def bad_weather(chance: Chance) -> Iterator[Event]:
    """Messages are lost, late or doubled."""
    links = [[a, b] for a in PROCESSES for b in PROCESSES if a != b and (a in REPLICAS) != (b in REPLICAS)]
    for at in _times(chance, 300.0):
        some = [link for link in links if chance.random() < 0.6]
        given = {kind: round(chance.random() * 0.4, 3) for kind in ("lost", "late", "twice") if chance.random() < 0.6}
        if some and given:
            yield {"at": at, "do": "network", "links": some, "for_s": round(chance.uniform(20, 400), 1), **given}


def clocks(chance: Chance) -> Iterator[Event]:
    """Wall clocks jump; clocks run up to 2 % fast or slow."""
    for at in _times(chance, 500.0):
        yield {
            "at": at, "do": "clock", "process": chance.choice(PROCESSES), "for_s": round(chance.uniform(30, 600), 1),
            "step_s": round(chance.choice((0.0, 1.0, 1.0, 10.0)) * chance.uniform(-4, 4), 2),
            "rate": round(chance.choice((1.0, chance.uniform(0.98, 1.02))), 4),
        }  # fmt: skip


def stores(chance: Chance) -> Iterator[Event]:
    """Transactions fail, commit unheard, take long; a store is gone."""
    for at in _times(chance, 250.0):
        event: dict[str, Any] = {
            "at": at, "do": "store", "store": chance.choice(("postgres", "postgres", "valkey")),
            "for_s": round(chance.uniform(10, 300), 1),
        }  # fmt: skip
        if chance.random() < 0.2:
            event |= {"down": True, "for_s": round(chance.uniform(1, 60), 1)}
        else:
            event |= {
                k: round(chance.random() * 0.3, 3) for k in ("failed", "unheard", "slow") if chance.random() < 0.6
            }
        yield event


def forgetting(chance: Chance) -> Iterator[Event]:
    """Redis comes back empty."""
    for at in _times(chance, 900.0):
        yield {"at": at, "do": "forget_verdicts"}


def illness(chance: Chance) -> Iterator[Event]:
    """Groups fall ill; sources go blind."""
    for at in _times(chance, 250.0):
        blind = chance.random() < 0.35
        how = chance.choice(
            ("inventory", "cloud", "metrics", "broker", "audits")
            if blind
            else ("errors", "late", "near", "silent", "backlog", "machine", "loses")
        )
        yield {
            "at": at, "do": "ill", "group": "" if blind else chance.choice(GROUPS), "how": how,
            "for_s": round(chance.uniform(10, 300), 1),
        }  # fmt: skip


def stalled_leaders(chance: Chance) -> Iterator[Event]:
    """Slow stores stretch a tick, and a pause in its middle outlasts the leadership."""
    for at in _times(chance, 900.0):
        for store in ("postgres", "valkey"):
            yield {"at": at, "do": "store", "store": store, "slow": 1.0, "for_s": 25.0}
        when = round(at + chance.uniform(1, 25), 3)
        yield {
            "at": when,
            "do": "pause",
            "process": chance.choice(REPLICAS),
            "for_s": round(chance.uniform(85, 120), 1),
        }


def flickering(chance: Chance) -> Iterator[Event]:
    """The broker is blind for two ticks, in which verdicts still stand, and somebody wants to scale in."""
    for number, at in enumerate(_times(chance, 500.0, 120.0), start=10_000):
        yield {"at": at, "do": "ill", "group": "", "how": "broker", "for_s": 32.0}
        yield {
            "at": round(at + chance.uniform(16, 31), 3), "do": "work", "id": number, "process": "provisioner",
            "kind": "SCALE_IN", "scope": f"group/{chance.choice(GROUPS)}", "steps": 1, "step_s": 2.0,
        }  # fmt: skip


def impostors(chance: Chance) -> Iterator[Event]:
    """Somebody ends what others hold, with a token that is not its own."""
    for at in _times(chance, 300.0, 60.0):
        yield {"at": at, "do": "impostor", "off": chance.choice((-1, 1))}


def places(chance: Chance) -> Iterator[Event]:
    """Replicas die or stand still right before or after a call to a store."""
    for at in _times(chance, 500.0):
        yield {
            "at": at, "do": "places", "process": chance.choice(REPLICAS), "crash": chance.choice((0.0, 0.02)),
            "stall": chance.choice((0.0, 0.05)), "for_s": round(chance.uniform(30, 200), 1),
        }  # fmt: skip


def slow_cloud(chance: Chance) -> Iterator[Event]:
    """Calls to the cloud take as long as they may."""
    for at in _times(chance, 600.0):
        yield {"at": at, "do": "slow_cloud", "for_s": round(chance.uniform(30, 400), 1)}


def machines_die(chance: Chance) -> Iterator[Event]:
    """Machines of a group die."""
    for at in _times(chance, 400.0):
        yield {"at": at, "do": "lose_machine", "group": chance.choice(GROUPS)}


def no_capacity(chance: Chance) -> Iterator[Event]:
    """EC2 has nothing to give in some zones, or in all."""
    for at in _times(chance, 900.0):
        yield {"at": at, "do": "no_capacity", "zones": chance.randint(1, 3), "for_s": round(chance.uniform(30, 600), 1)}


def aws_fails(chance: Chance) -> Iterator[Event]:
    """Calls to AWS fail, or take effect unheard."""
    for at in _times(chance, 500.0):
        given = {k: round(chance.random() * 0.5, 3) for k in ("failed", "unheard") if chance.random() < 0.7}
        yield {"at": at, "do": "store", "store": "aws", "for_s": round(chance.uniform(30, 300), 1), **given}


def lonely_holders(chance: Chance) -> Iterator[Event]:
    """A scale-out that AWS does not take, while its holder is cut off: the lease lapses and the call is tried again."""
    for at in _times(chance, 700.0, 100.0):
        yield {"at": at, "do": "load", "group": chance.choice(GROUPS), "factor": 3.0, "for_s": 240.0}
        yield {"at": round(at - 5.0, 3), "do": "store", "store": "aws", "down": True, "for_s": 85.0}
        links = [[WORKER, o] for o in REPLICAS] + [[o, WORKER] for o in REPLICAS]
        cut_s = round(at + chance.uniform(18, 35), 3)
        yield {"at": cut_s, "do": "network", "cut": True, "links": links, "for_s": 110.0}


def stalled_writers(chance: Chance) -> Iterator[Event]:
    """Who is about to set a size stands still between two of its calls, while nobody can renew the lease for it."""
    for at in _times(chance, 700.0, 100.0):
        yield {"at": at, "do": "load", "group": chance.choice(GROUPS), "factor": 3.0, "for_s": 240.0}
        for scaler in SCALERS:
            yield {"at": at, "do": "places", "process": scaler, "crash": 0.0, "stall": 0.2, "for_s": 120.0}
        links = [[WORKER, o] for o in REPLICAS] + [[o, WORKER] for o in REPLICAS]
        cut_s = round(at + chance.uniform(10, 90), 3)
        yield {"at": cut_s, "do": "network", "cut": True, "links": links, "for_s": 60.0}


SCALING_FAULTS: tuple[Callable[[Chance], Iterator[Event]], ...] = (
    machines_die, no_capacity, aws_fails, lonely_holders, stalled_writers, late_describes,
)  # fmt: skip
FAULTS: tuple[Callable[[Chance], Iterator[Event]], ...] = (
    crashes, pauses, partitions, bad_weather, clocks, stores, forgetting, illness, slow_cloud, stalled_leaders,
    flickering, impostors, places,
)  # fmt: skip
