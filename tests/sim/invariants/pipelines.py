"""Invariants of pipelines: how traffic ramps, under whose lease, and that a pipeline is there as a whole or not at all."""

from dataclasses import dataclass

from tests.sim.invariants.base import Invariant, LedgerState
from tests.sim.invariants.rest import PERCENT, Rest


@dataclass(frozen=True, slots=True)
class Ramping:
    """A percent is about to be written; `phases` are those that were declared."""

    pipeline: str
    before: int
    after: int
    phases: tuple[int, ...]


class RampUnderLease(Invariant):
    """Who lets traffic in has leave to."""

    sentence = (
        "A pipeline's percent grows only while a RAMP holds it, and changes only while a RAMP or a PROVISION does."
    )

    def ramped(self, ramping: Ramping, ledger: LedgerState, now: float) -> None:
        if ramping.after == ramping.before:
            return
        grows = ramping.after > ramping.before
        self.record.reach("ramp up" if grows else "ramp down")
        kinds = {"RAMP"} if grows else {"RAMP", "PROVISION"}
        held = {a.kind.value for a in ledger.live(now) if str(a.scope) == f"pipeline/{ramping.pipeline}"}
        if not kinds & held:
            self.broken(f"{ramping.pipeline} goes from {ramping.before} to {ramping.after} % and no ramp holds it")


class RampInSteps(Invariant):
    """Nobody jumps."""

    sentence = "A ramp goes up by one declared phase at a time, and down by one or to nothing."

    def ramped(self, ramping: Ramping, ledger: LedgerState, now: float) -> None:
        phases = (0, *ramping.phases)
        if ramping.after not in phases:
            self.broken(f"{ramping.pipeline} goes to {ramping.after} %, which is none of {phases}")
        up = phases.index(ramping.after) - phases.index(ramping.before)
        if up > 1 or (up < -1 and ramping.after):
            self.broken(f"{ramping.pipeline} jumps from {ramping.before} to {ramping.after} %")


class RampedThrough(Invariant):
    """A ramp that says that it is done is."""

    sentence = "At rest a pipeline whose last ramp ended as done takes all of its traffic, and its clients know."

    def rested(self, rest: Rest) -> None:
        for pipeline in rest.pipelines:
            ramps = [r for r in rest.runs if r.kind == "RampTraffic" and r.pipeline == pipeline.name]
            if not pipeline.registered or not ramps or ramps[-1].open:
                continue  # an open one is a matter of Progress
            self.record.reach(f"ramp {ramps[-1].outcome}")
            if ramps[-1].outcome == "done" and pipeline.percent != PERCENT:
                self.broken(f"{pipeline.name} stands at {pipeline.percent} % and its last ramp is done")
            if pipeline.edge is not None and pipeline.edge != pipeline.percent:
                self.broken(f"clients of {pipeline.name} know {pipeline.edge} %, it is {pipeline.percent} %")


class WholePipeline(Invariant):
    """All of it, or none of it."""

    sentence = "At rest a registered pipeline has its topics and its groups, and one that is not has neither."

    def rested(self, rest: Rest) -> None:
        if any(r.open for r in rest.runs if r.kind in {"ApplyObjects", "ProvisionPipeline", "DestroyObject"}):
            return  # Progress tells
        for p in rest.pipelines:
            self.record.reach(f"pipeline {'stands' if p.registered else 'is not there'}")
            if p.topics != (p.wanted_topics if p.registered else frozenset()):
                self.broken(f"{p.name} is {'' if p.registered else 'not '}there and has the topics {sorted(p.topics)}")
            if p.seats != (p.stages if p.registered else {}):
                self.broken(f"{p.name} is {'' if p.registered else 'not '}there and has the groups {dict(p.seats)}")


PIPELINES: tuple[type[Invariant], ...] = (RampUnderLease, RampInSteps, RampedThrough, WholePipeline)
