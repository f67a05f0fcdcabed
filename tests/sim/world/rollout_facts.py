"""What invariants of rollouts are told: facts read straight from stores, cloud and server, past every service."""

import json
from typing import Any

from services.provisioner.domain.pipeline import own_topics_of
from tests.sim.invariants.rest import FleetNow, GroupNow, PipelineNow, Removal, Rest, RunNow, Served
from tests.sim.invariants.scaling import Resize
from tests.sim.temporal.activities import seconds
from tests.sim.temporal.run import STATUS, Run
from tests.sim.world.load import lasting
from tests.sim.world.pipelines import EDGE, PIPELINE, STAGES
from tests.sim.world.rollout_services import RolloutServices
from tests.sim.world.stores import state_of

TAKEN_S = 300.0  # machines that the cloud took are replaced within this, also when clients hear of it late


class Facts:
    """Over one world."""

    def __init__(self, world: RolloutServices) -> None:
        self._world = world
        self.taken_until_s: dict[str, float] = {}

    def take(self, group: str, for_s: float = 0.0) -> None:
        """The cloud takes machines of a group, or gives none, for so long."""
        until_s = self._world.loop.time() + for_s + TAKEN_S
        self.taken_until_s[group] = max(until_s, self.taken_until_s.get(group, 0.0))

    def _taken(self, group: str) -> bool:
        return self._world.loop.time() < self.taken_until_s.get(group, 0.0)

    def _groups(self) -> Any:
        return self._world.provisioner_stores["groups"]

    def _weights(self, group: str) -> dict[str, int]:
        return {f.id: f.weight for f in self._groups()._fleets.values() if f.group == group and not f.leaving}

    def fleets(self, group: str = "") -> list[FleetNow]:
        """In the cloud."""
        states = self._world.cloud.states()
        return [FleetNow(s.fleet, s.desired, s.in_service) for s in states if group in {"", s.group}]

    def resize(self, asg: str, nodes: int) -> Resize:
        """SetDesiredCapacity as it takes effect."""
        world = self._world
        found = next(s for s in world.cloud.states() if s.name == asg)
        weights, demand = self._weights(found.group), world.serving.demand.get(found.group)
        serves = weights.get(found.fleet, 0) > 0
        others = [f for f in self.fleets(found.group) if f.fleet != found.fleet and weights.get(f.fleet, 0) > 0]
        return Resize(
            group=found.group,
            asg=asg,
            before=found.desired,
            wanted=nodes,
            arrival=demand.least if demand and serves else 0.0,
            arrival_now=demand.arrival if demand and serves else 0.0,
            peak=lasting(demand.lately) if demand and serves else 0.0,
            backlog=demand.waiting if demand and serves else 0.0,
            intents=[i for i, result in world.scaler_store._intents.values() if result is None],
            ill=tuple(how for g, how in world.plant.ill if g in {"", found.group}),
            least=found.min,
            most=found.max,
            elsewhere=sum(f.in_service for f in others),
            reservations=[r for r in world.scaler_store._reserved.values() if r.group == found.group],
        )

    def served(self, group: str) -> Served:
        """One step of one group."""
        serving = self._world.serving
        answered = any(g == group for g, _ in serving.rates)
        routes = serving.routes(group)
        known = self._groups()._groups.get(group)
        there = known is not None and known.phase not in {"CREATING", "DELETING"}
        return Served(
            group, serving.demand[group].arrival, routes, self._weights(group), self.fleets(group), answered,
            self._taken(group), there, self._outlived(group),
        )  # fmt: skip

    def _outlived(self, group: str) -> list[tuple[str, float]]:
        world, now = self._world, self._world._store_s()
        kept = [r for r in world.scaler_store._reserved.values() if r.group == group and r.expires_at_s > now]
        known = state_of(world.ledger).activities if kept else {}
        ended = [(r, a) for r in kept if (a := known.get(r.activity)) is not None and not a.live(now)]
        return [
            (a.id, r.expires_at_s - r.ttl_s - (a.ended_at if a.ended_at is not None else a.expires_at))
            for r, a in ended
        ]

    def removal(self, asg: str) -> Removal:
        """A fleet is about to go."""
        found = next(s for s in self._world.cloud.states() if s.name == asg)
        known = self._groups()._groups.get(found.group)
        unwanted = (
            known is None or known.phase in {"DELETING", "CREATING"} or not any(self._weights(found.group).values())
        )
        others = [f for f in self.fleets(found.group) if f.fleet != found.fleet]
        demand = self._world.serving.demand.get(found.group)
        arrival = demand.arrival if demand else 0.0
        weights = self._weights(found.group)
        return Removal(found.group, found.fleet, arrival, weights, others, unwanted, self._taken(found.group))

    def rest(self) -> Rest:
        """The end."""
        world, kept = self._world, self._world.admin_store._kept
        details = [r.entry.detail for r in kept.audit]
        audited = {str(d.get("operation", "")) for d in details} | {f"apply/{d.get('plan', '')}" for d in details}
        return Rest(
            healed_for_s=world.plan.horizon_s - world.plan.heal_at_s,
            now=world._store_s(),
            ledger=state_of(world.ledger),
            runs=[self._run(r) for runs in world.temporal.runs.values() for r in runs],
            groups=[self._group(name) for name in sorted(self._groups()._groups)],
            cloud=self.fleets(),
            reservations=[r for r in world.scaler_store._reserved.values() if r.expires_at_s > world._store_s()],
            problems=list(world.temporal.problems),
            audited=frozenset(audited),
            operations=[(o.id, o.state.value) for o in kept.operations.values()],
            locks=sorted(world.engine.locks),
            pipelines=[self._pipeline(PIPELINE)],
        )

    def _pipeline(self, name: str) -> PipelineNow:
        world, state = self._world, self._world.pipelines.state(name)
        heard = world.routes.get(EDGE)
        return PipelineNow(
            name=name,
            registered=state is not None,
            percent=state.ramp_percent if state else 0,
            edge=heard.ramp_percent if heard is not None and state else None,
            seats={g.seat.stage: g.name for g in self._groups()._groups.values() if g.seat and g.seat.pipeline == name},
            stages=STAGES,
            topics=frozenset(t for t in world.topics.there if t.startswith(f"headrace.{name}.")),
            wanted_topics=frozenset(own_topics_of(state.intent) if state else ()),
        )

    def _run(self, run: Run) -> RunNow:
        given = json.loads(run.init.arguments[0].data) if run.init.arguments else {}
        outcome = STATUS.Name(run.status).removeprefix("WORKFLOW_EXECUTION_STATUS_")
        if run.result is not None and isinstance(said := json.loads(run.result.data or b"null"), dict):
            outcome = str(said.get("outcome", outcome))
        request = given.get("deployment_id") or given.get("request_id") or ""
        tried = [
            (a.asked.activity_type, a.attempts, seconds(a.asked.schedule_to_close_timeout))
            for a in run.activities_ever.values()
        ]
        return RunNow(run.kind, run.id, run.open, outcome, str(request), tried, str(given.get("pipeline", "")))

    def _group(self, name: str) -> GroupNow:
        fleets = [f for f in self._groups()._fleets.values() if f.group == name]
        deployments = [d for d in self._world.deployer_store._deployments.values() if d.group == name]
        deployments.sort(key=lambda d: d.started_at, reverse=True)
        declared = any(k.name == name and not o.deleted for (_, k), o in self._world.admin_store._kept.objects.items())
        removed_s = self._groups().removed_s.get(name, 0.0)
        return GroupNow(
            name=name,
            declared=declared,
            standing=sorted(f.id for f in fleets if not f.leaving),
            weights=self._weights(name),
            variables={f.id: json.loads(f.revision_document)["variables"] for f in fleets},
            made_anew=bool(deployments) and deployments[0].started_at < removed_s,
            deployments=[
                (d.id, d.phase.value, f"{name}-r{d.revision}", f"{name}-r{d.from_revision}") for d in deployments
            ],
        )
