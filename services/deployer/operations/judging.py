"""Judging a deployment's new fleet: read what both fleets did, decide, keep the analysis."""

from dataclasses import replace

from services.deployer.domain.judge import FleetSample, Judged, JudgePolicy, Question, judge, unreadable
from services.deployer.domain.ports import Measurements, Store, Unreadable
from services.deployer.domain.records import Analysis
from services.deployer.operations.contract import judgement_to, sample_of
from shared.contracts.deployment import JudgeInput, Judgement, SampleModel
from shared.domain.names import DeploymentId, FleetId, GroupName

WINDOW_S_MIN = 2.0  # a shorter window has no two scrapes in it
BEFORE_S_MAX = 300.0  # how far back the old fleet is looked at when it has no traffic any more


class Judging:
    """Over measurements and the store."""

    def __init__(self, measurements: Measurements, store: Store, policy: JudgePolicy) -> None:
        """`policy` has the judge's numbers."""
        self._measurements, self._store, self._policy = measurements, store, policy

    async def judge(self, given: JudgeInput) -> Judgement:
        """Judge and keep the analysis."""
        judged = await self._judged(given)
        await self._store.add_analysis(Analysis(DeploymentId(given.deployment_id), given.until_s, judged))
        return judgement_to(judged)

    def dry_run(self, new: SampleModel, old: SampleModel, error_ratio_max: float) -> Judgement:
        """What the judge would say to given samples."""
        question = Question(GroupName("dry-run"), self._policy.little_after_s, error_ratio_max)
        return judgement_to(judge(question, sample_of(new), sample_of(old), self._policy))

    async def _judged(self, given: JudgeInput) -> Judged:
        group = GroupName(given.group)
        since_s = min(given.since_s, given.until_s - WINDOW_S_MIN)
        question = Question(group, given.until_s - since_s, given.error_ratio_max)
        new, old = FleetId(given.new_fleet), FleetId(given.old_fleet)
        seen = await self._measurements.read(group, (new, old), since_s, given.until_s)
        if isinstance(seen, Unreadable):
            return unreadable(group, seen.why)
        before = await self._before(group, old, seen[old], since_s, question)
        if isinstance(before, Unreadable):
            return unreadable(group, before.why)
        return judge(question, seen[new], before, self._policy)

    async def _before(
        self, group: GroupName, old: FleetId, now: FleetSample, since_s: float, question: Question
    ) -> FleetSample | Unreadable:
        """The old fleet with all traffic gone is taken as it was just before; over the same minutes where it can be."""
        if now.messages >= self._policy.messages_min:
            return now
        length = min(BEFORE_S_MAX, max(question.window_s, self._policy.idle_after_s))
        seen = await self._measurements.read(group, (old,), since_s - length, since_s)
        if isinstance(seen, Unreadable):
            return seen
        return replace(seen[old], nodes=now.nodes)
