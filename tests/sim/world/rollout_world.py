"""The world of rollouts: people declare groups, deploy, go back, hold and scale; the cloud drifts; things break."""

import contextvars
from datetime import timedelta
from typing import Any

from shared.contracts import queues
from tests.sim.invariants.base import End, Watch
from tests.sim.kernel.loop import SimLoop
from tests.sim.kernel.record import Record
from tests.sim.plan import Event, Plan
from tests.sim.temporal.run import Run
from tests.sim.world.fleets import ZONES
from tests.sim.world.people import Person
from tests.sim.world.pipelines import PIPELINE, declared_pipeline
from tests.sim.world.rollout_facts import Facts
from tests.sim.world.rollout_services import ADMIN, EVICTS, GROUPS, TOKEN, RolloutServices
from tests.sim.world.stores import state_of

NODES_MIN, NODES_MAX = 2, 8
SCHEDULES = {queues.CHECK_DRIFT_SCHEDULE: ("CheckDrift", 120.0), queues.SWEEP_SCHEDULE: ("Sweep", 60.0)}
SCHEDULED_S_MAX = 3600.0
RESUME_S, ABORT_S = 30.0, 600.0  # after the healing
MENDS_S = (650.0, 950.0, 1250.0)  # after it, people look for builds that do harm


def declared_group(name: str) -> dict[str, Any]:
    """A transform group as people first declare it."""
    return {
        "kind": "transform", "name": name, "environment": "env", "variables": {"build": "1"},
        "scaling": {
            "type": "autoscaling", "min_nodes": NODES_MIN, "max_nodes": NODES_MAX, "node_rate": 50.0,
            "targets": [{"type": "cpu", "percent": 70}], "scale_in_after_s": 300.0,
        },
        "rollout": {"type": "rolling", "percents": [25, 100], "bake_s": 60},
    }  # fmt: skip


class RolloutWorld(RolloutServices):
    """What is done to it."""

    def __init__(self, plan: Plan, loop: SimLoop, record: Record, watch: Watch) -> None:
        super().__init__(plan, loop, record, watch)
        self.person = Person(self.web, record, TOKEN, ADMIN)
        self.facts = Facts(self)
        self.engine.removing = lambda asg: watch.tell("removing", self.facts.removal(asg))
        self.declared: dict[str, dict[str, Any]] = {g: declared_group(g) for g in GROUPS}
        self.declared_pipelines: dict[str, dict[str, Any]] = {}

    def start(self) -> None:
        """The server's schedules run from the start, whoever is up."""
        super().start()
        for name, (_, every_s) in SCHEDULES.items():
            self._later(every_s, lambda n=name: self._scheduled(n))
        self.loop.call_at(self.plan.heal_at_s + RESUME_S, self._healed, "resume", context=contextvars.Context())
        self.loop.call_at(self.plan.heal_at_s + ABORT_S, self._healed, "abort", context=contextvars.Context())
        for turn, after_s in enumerate(MENDS_S):
            self.loop.call_at(self.plan.heal_at_s + after_s, self._mend, turn, context=contextvars.Context())

    def _healed(self, order: str) -> None:
        """When the day is over somebody looks after what was left standing."""
        for run in self.open_runs:
            if run.kind == "DeployGroup" or (run.kind == "RampTraffic" and order == "resume"):
                self.temporal.signal(run, order, ())

    def _mend(self, turn: int) -> None:
        """Nobody leaves a bad build where it is: first the one before is asked for, then a good one. And all is applied again."""
        if turn == 0:
            self.do_apply({})
        for group in GROUPS:
            if not any(self._is_bad(f) and w > 0 for f, w in self.serving.routes(group).items()):
                continue
            self.record.reach("a bad build stood when everything was healed")
            if turn == 0:
                self.do_roll_back({"group": group, "wait": True})
            else:
                body = {"group": group, "variables": {"build": f"mend-{turn}"}, "override_reason": "what serves is bad"}
                self.do_deploy({"body": body | {"wait": True}})

    def _later(self, wait_s: float, act: Any) -> None:
        self.loop.call_later(wait_s, act, context=contextvars.Context())

    def _scheduled(self, name: str) -> None:
        """As the server's scheduler: a run that still goes on is not doubled."""
        kind, every_s = SCHEDULES[name]
        self._later(every_s, lambda: self._scheduled(name))
        running = self.temporal.find(name)
        if running is None or not running.open:
            self.loop.create_task(self._start(kind, name), context=contextvars.Context())

    async def _start(self, kind: str, name: str) -> None:
        limit = timedelta(seconds=SCHEDULED_S_MAX)
        await self.temporal.client().start_workflow(kind, id=name, task_queue=queues.WORKFLOWS, execution_timeout=limit)

    @property
    def open_runs(self) -> list[Run]:
        """Workflows that have not ended."""
        return [r for runs in self.temporal.runs.values() for r in runs if r.open]

    def _served(self) -> None:
        for group in GROUPS:
            self.watch.tell("served", self.facts.served(group))

    def _resized(self, name: str, asg: str, nodes: int) -> None:
        seen = self.facts.resize(asg, nodes)
        self.record.say(name, f"sets {asg} {seen.before} -> {nodes} for {seen.arrival:.0f}/s", f"group/{seen.group}")
        self.watch.tell("resized", seen, state_of(self.ledger), self._store_s())

    def finish(self) -> None:
        """Histories are replayed once more, and everybody is told how things stand."""
        open_runs = [f"{r.kind} {r.id}" for r in self.open_runs if r.id not in SCHEDULES]
        self.temporal.verify()
        healed_s = self.plan.horizon_s - self.plan.heal_at_s
        self.watch.tell("ended", End(self._store_s(), state_of(self.ledger), open_runs, healed_s))
        self.watch.tell("rested", self.facts.rest())

    def close(self) -> None:
        """Let go of every workflow."""
        self.temporal.stop()

    def _asks(self, work: Any) -> None:
        self.processes["people"].spawn(work)

    # ------------------------------------------------------------------------------------------------- what is done

    def do_apply(self, event: Event) -> None:
        """People change what is declared, and apply it."""
        for name, kind in event.get("kinds", {}).items():
            self.declared[name]["kind"] = kind
        if "ramp_bake_s" in event:
            self.declared_pipelines[PIPELINE] = declared_pipeline(float(event["ramp_bake_s"]))
        for name, nodes in event.get("nodes_max", {}).items():
            self.declared[name]["scaling"] = self.declared[name]["scaling"] | {"max_nodes": nodes}
        objects = [{"kind": "environment", "name": "env", "requirements": "headrace-runtime"}, *self.declared.values()]
        self._asks(self._apply([*objects, *self.declared_pipelines.values()]))

    async def _apply(self, objects: list[dict[str, Any]]) -> None:
        made = await self.person.ask("POST", "/v1/plans", {"objects": objects, "source": "sim"})
        if made is not None and made.status == 201 and made.body["changes"]:
            await self.person.ask("POST", f"/v1/plans/{made.body['id']}:apply", {})

    def do_deploy(self, event: Event) -> None:
        """Somebody deploys a build."""
        body = dict(event["body"])
        self.declared[body["group"]]["variables"] = body["variables"]
        self._asks(self.person.ask("POST", "/v1/deployments", body))

    def do_order(self, event: Event) -> None:
        """Somebody tells a deployment to pause, go on, be promoted, stop."""
        self._asks(self.person.ask("POST", f"/v1/deployments/{event['group']}:{event['order']}", {}, tries=3))

    def do_ramp(self, event: Event) -> None:
        """Somebody tells the ramp to hold, to go on, to step back."""
        self._asks(self.person.ask("POST", f"/v1/ramps/{PIPELINE}:{event['order']}", tries=3))

    def do_destroy_pipeline(self, event: Event) -> None:
        """Somebody takes the pipeline away."""
        self.declared_pipelines.pop(PIPELINE, None)
        self._asks(self.person.ask("DELETE", f"/v1/pipelines/{PIPELINE}"))

    def do_destroy_group(self, event: Event) -> None:
        """Somebody takes a group away; refused while a pipeline stands on it."""
        self._asks(self.person.ask("DELETE", f"/v1/server-groups/{event['group']}"))

    def do_cancel(self, event: Event) -> None:
        """Somebody looks for what goes on and cancels it: a plan, a deployment, a rollback, whatever it is."""
        self._asks(self._cancel(int(event["nth"])))

    async def _cancel(self, nth: int) -> None:
        shown = await self.person.ask("GET", "/v1/operations?page_size=20", tries=3)
        going = [o for o in shown.body["items"] if o["state"] == "running"] if shown and shown.status == 200 else []
        if going:
            chosen = going[nth % len(going)]
            self.record.reach(f"cancels {chosen['kind']}")
            await self.person.ask("POST", f"/v1/operations/{chosen['id']}:cancel", tries=3)

    def do_roll_back(self, event: Event) -> None:
        """Somebody wants the revision before."""
        body = {"reason": "it was better", "wait": bool(event.get("wait", False))}
        self._asks(self.person.ask("POST", f"/v1/server-groups/{event['group']}:rollback", body, tries=3))

    def do_freeze(self, event: Event) -> None:
        """Somebody freezes a scope."""
        body = {"scope": event["scope"], "seconds": event["seconds"], "reason": "a demonstration"}
        self._asks(self.person.ask("POST", "/v1/freezes", body, tries=3))

    def do_unfreeze(self, event: Event) -> None:
        """Somebody lifts it."""
        self._asks(self.person.ask("DELETE", f"/v1/freezes/{event['scope']}", tries=3))

    def do_load(self, event: Event) -> None:
        """More requests, or fewer, for a while."""
        demand, factor = self.serving.demand[str(event["group"])], float(event["factor"])
        demand.factors.append(factor)
        self._for(event, lambda: demand.factors.remove(factor))

    def do_drift(self, event: Event) -> None:
        """Somebody changes a field by hand."""
        group = str(event["group"])
        if event["field"] == "Ingress":
            for name, fields in self.cloud.resources.items():
                if name == f"security group headrace-default-{group}":
                    fields["Ingress"] = "tcp 22 0.0.0.0/0"
            return
        for state in self.cloud.states():
            if state.group == group:
                size = {"MaxSize": state.max + 3} if event["field"] == "MaxSize" else {"MinSize": max(0, state.min - 1)}
                self.fleets.call("UpdateAutoScalingGroup", AutoScalingGroupName=state.name, **size)

    def do_temporal(self, event: Event) -> None:
        """Workers forget, answers get lost."""
        conditions = self.conditions
        conditions.evict, conditions.lost = float(event["evict"]), float(event["lost"])

        def over() -> None:
            conditions.evict, conditions.lost = EVICTS, 0.0

        self._for(event, over)

    def do_describe_late(self, event: Event) -> None:
        """AWS shows what was written some seconds later."""
        self.fleets.describe_late(float(event["late_s"]))
        self._for(event, lambda: self.fleets.describe_late(0.0))

    def do_lose_machine(self, event: Event) -> None:
        """A machine in service dies."""
        group = str(event["group"])
        self.facts.take(group)
        serving = [i.id for s in self.cloud.states() if s.group == group for i in s.instances if i.in_service]
        if serving:
            self.fleets.lose(serving[0])

    def do_no_capacity(self, event: Event) -> None:
        """EC2 has no machine to give, in some zones or all."""
        zones = ZONES[: int(event["zones"])]
        for group in GROUPS:
            self.facts.take(group, float(event["for_s"]))
        self.fleets.refuse(zones, "InsufficientInstanceCapacity")
        self._for(event, lambda: self.fleets.refuse(zones, ""))

    def do_kill_engine(self, event: Event) -> None:
        """Pulumi's processes die."""
        self.engine.kill()

    def _do_crash(self, name: str, for_s: float) -> None:
        """A web server dies with its process."""
        self.web.apps.pop(name, None)
        super()._do_crash(name, for_s)
