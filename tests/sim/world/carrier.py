"""Carries the Autoscaler's decisions out as `ScaleGroup` does: admission, sizes, wait, the end; at least once each.

It stands in for the workflow in the world of scaling; in the world of rollouts the workflow itself runs. The activities
are the Autoscaler's own, called in a living replica; an attempt whose replica dies, or whose answer is lost, is made
again after its time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from services.autoscaler.__main__ import Service
from services.autoscaler.domain.decision import Decision
from services.autoscaler.operations.contract import scale_input
from shared.contracts.admission import LeaseModel
from shared.contracts.scaling import ScaleInput, ScaleResult, SetDesiredInput, WaitInServiceInput
from shared.domain.activity import ActivityKind
from shared.domain.errors import HeadraceError, Unavailable
from tests.sim.kernel.processes import Process
from tests.sim.world.holder import Hold, Lost
from workflows.policies import POLICIES
from workflows.scale_group import SERVICE_WAIT_S_MAX

RETRY_S = 2.0
Ask = Callable[[Service], Awaitable[Any]]


class Replicas:
    """Living replicas of a service, by process; they take tasks in turn."""

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self.processes: dict[str, Process] = {}
        self._turn = 0

    async def run(self, name: str, ask: Ask, wait_s: float = 0.0) -> Any:
        """An activity's result; HeadraceError that is not retryable, or the last one when its time is over."""
        policy, loop = POLICIES[name], asyncio.get_running_loop()
        over_s = loop.time() + policy.total_s + wait_s
        failure: HeadraceError = Unavailable(f"{name}: nobody answered in time")
        while loop.time() < over_s:
            attempt = self._attempt(ask)
            done, _ = await asyncio.wait({attempt}, timeout=policy.attempt_s + wait_s) if attempt else ((), ())
            for finished in done:
                found = finished.result()
                if not isinstance(found, HeadraceError):
                    return found
                if not found.retryable:
                    raise found
                failure = found
            await asyncio.sleep(RETRY_S)
        raise failure

    def _attempt(self, ask: Ask) -> "asyncio.Future[Any] | None":
        """In a replica's own life: when it dies, nobody ever hears of the result."""
        up = [n for n in sorted(self.services) if self.processes[n].up]
        if not up:
            return None
        self._turn += 1
        name = up[self._turn % len(up)]
        result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        service = self.services[name]

        async def attempt() -> None:
            found: Any
            try:
                found = await ask(service)
            except HeadraceError as e:
                found = e
            if not result.done():
                result.set_result(found)

        self.processes[name].spawn(attempt())
        return result


class ScaleHold(Hold):
    """One decision under its lease."""

    replicas: Replicas
    decision: Decision

    async def carry_out(self) -> None:
        """As every holder; and the Autoscaler learns how it ended."""
        await super().carry_out()
        if self._i.outcome != "done":
            outcome = "refused" if self._i.outcome == "refused" else "failed"
            given = {"decision_id": self.decision.id, "outcome": outcome, "text": self._i.outcome}
            await self._record(ScaleResult.model_validate(given))

    async def _work(self, seconds: float) -> None:
        scale = scale_input(self.decision)
        made = await self._asked("autoscaler.set_desired", lambda s: s.scaling.set_desired(self._set(scale)))
        if made.outcome == "set":
            waiting = WaitInServiceInput(scale=scale, timeout_s=SERVICE_WAIT_S_MAX)
            made = await self._asked(
                "autoscaler.wait_in_service",
                lambda s: s.scaling.wait_in_service(waiting, lambda _: None),
                SERVICE_WAIT_S_MAX,
            )
        self._outside.record.reach(f"scaling {made.outcome}")
        await self._record(made)

    def _set(self, scale: ScaleInput) -> SetDesiredInput:
        deadline_s = self._clock.now().timestamp() + self._remaining_s()
        kind = ActivityKind(self._i.kind)
        lease = LeaseModel(
            activity_id=self._activity, token=self._token, kind=kind, scope=self._i.scope, deadline_s=deadline_s
        )
        return SetDesiredInput(scale=scale, lease=lease)

    def _write(self) -> None:
        """The activity writes, and is watched where it does."""

    async def _asked(self, name: str, ask: Ask, wait_s: float = 0.0) -> ScaleResult:
        try:
            result: ScaleResult = await self.replicas.run(name, ask, wait_s)
        except HeadraceError as e:
            raise Lost(f"failed: {e.code}") from e
        return result

    async def _record(self, result: ScaleResult) -> None:
        try:
            await self.replicas.run("autoscaler.record_outcome", lambda s: s.scaling.record_outcome(result))
        except HeadraceError as e:
            self._outside.record.say(self._i.holder, f"the outcome was not recorded: {e.code}", self._i.scope)
