"""Which groups carry which stages of which pipelines: what a scope involves, and when two scopes meet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from shared.domain.names import GroupName, PipelineName, StageName
from shared.domain.scope import SYSTEM, Scope, ScopeKind, group_scope, pipeline_scope, stage_scope

JUDGED_KEPT_MAX = 10_000  # scopes, also such as nobody has declared


@dataclass(frozen=True)  # no slots: the reverse index is cached
class Topology:
    """`pipelines[p][stage] = group`; `groups` also has those that no stage runs on."""

    groups: frozenset[str] = frozenset()
    pipelines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @cached_property
    def stages_of_group(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Group to its (pipeline, stage) pairs."""
        found: dict[str, list[tuple[str, str]]] = {}
        for pipeline, stages in sorted(self.pipelines.items()):
            for stage, group in sorted(stages.items()):
                found.setdefault(group, []).append((pipeline, stage))
        return {group: tuple(pairs) for group, pairs in found.items()}

    def groups_of(self, scope: Scope) -> frozenset[str]:
        """The groups whose machines an activity on `scope` may touch.

        >>> t = Topology(frozenset({"a"}), {"p": {"s": "a"}})
        >>> t.groups_of(Scope.parse("pipeline/p"))
        frozenset({'a'})
        """
        match scope.kind:
            case ScopeKind.SYSTEM:
                return self.groups
            case ScopeKind.PIPELINE:
                return frozenset(self.pipelines.get(scope.name, {}).values())
            case ScopeKind.STAGE:
                group = self.pipelines.get(scope.names[0], {}).get(scope.names[1])
                return frozenset({group}) if group else frozenset()
            case ScopeKind.GROUP:
                return frozenset({scope.name})

    def pipelines_of(self, scope: Scope) -> frozenset[str]:
        """The pipelines whose traffic an activity on `scope` may touch."""
        match scope.kind:
            case ScopeKind.SYSTEM:
                return frozenset(self.pipelines)
            case ScopeKind.PIPELINE | ScopeKind.STAGE:
                return frozenset({scope.names[0]})
            case ScopeKind.GROUP:
                return frozenset(p for p, _ in self.stages_of_group.get(scope.name, ()))

    def meet(self, one: Scope, other: Scope) -> bool:
        """Whether two activities would touch the same thing: equal, one within the other, or sharing a group."""
        if one == other or ScopeKind.SYSTEM in (one.kind, other.kind):
            return True
        if {one.kind, other.kind} == {ScopeKind.PIPELINE, ScopeKind.STAGE} and one.names[0] == other.names[0]:
            return True
        return bool(self.groups_of(one) & self.groups_of(other))

    def share_pipeline(self, one: Scope, other: Scope) -> bool:
        """Whether both touch the traffic of one pipeline."""
        return bool(self.pipelines_of(one) & self.pipelines_of(other))

    def judged_scopes(self, scope: Scope, *, with_system: bool) -> tuple[Scope, ...]:
        """The scopes whose verdicts an activity on `scope` depends on: itself, stages, pipelines, the system."""
        known = self._judged.get((scope, with_system))
        if known is None:
            known = self._judged_scopes(scope, with_system=with_system)
            if len(self._judged) < JUDGED_KEPT_MAX:
                self._judged[scope, with_system] = known
        return known

    @cached_property
    def _judged(self) -> dict[tuple[Scope, bool], tuple[Scope, ...]]:
        """Asked several times with each request, and the same as long as the topology is."""
        return {}

    def _judged_scopes(self, scope: Scope, *, with_system: bool) -> tuple[Scope, ...]:
        found: list[Scope] = [] if scope == SYSTEM else [scope]
        for group in sorted(self.groups_of(scope)) if scope.kind in (ScopeKind.GROUP, ScopeKind.STAGE) else ():
            found.append(group_scope(GroupName(group)))
            found.extend(stage_scope(PipelineName(p), StageName(s)) for p, s in self.stages_of_group.get(group, ()))
        if scope.kind is ScopeKind.PIPELINE:
            stages = sorted(self.pipelines.get(scope.name, {}))
            found.extend(stage_scope(PipelineName(scope.name), StageName(s)) for s in stages)
        if scope.kind is not ScopeKind.SYSTEM:
            found.extend(pipeline_scope(PipelineName(p)) for p in sorted(self.pipelines_of(scope)))
        if with_system or scope == SYSTEM:
            found.append(SYSTEM)
        return tuple(dict.fromkeys(found))

    def near(self, scope: Scope) -> tuple[str, ...] | None:
        """Every scope that could meet this one or share a pipeline with it, in wire form; None: all.

        A pipeline stands for its stages too, also for those that the topology does not know (any more).
        """
        if scope.kind is ScopeKind.SYSTEM:
            return None
        mine = self.groups_of(scope)
        pipelines = self.pipelines_of(scope) | {p for g in mine for p, _ in self.stages_of_group.get(g, ())}
        found = {str(scope), str(SYSTEM)} | {f"group/{g}" for g in mine}
        for pipeline in pipelines:
            found.add(f"pipeline/{pipeline}")
            found |= {f"group/{group}" for group in self.pipelines.get(pipeline, {}).values()}
        return tuple(sorted(found))

    def lock_keys(self, scope: Scope, *, changes_pipeline: bool) -> tuple[str, ...]:
        """What must be locked so that no two requests that could matter to each other are decided at once; sorted.

        Meeting scopes have a group (or an unknown stage's pipeline) in common. A group's pipelines matter only to what
        allows one change per pipeline, so growth of its groups is decided side by side.
        """
        groups = {f"group/{g}" for g in self.groups_of(scope)}
        wide = changes_pipeline or scope.kind is not ScopeKind.GROUP
        pipelines = {f"pipeline/{p}" for p in self.pipelines_of(scope)} if wide else set()
        return tuple(sorted(groups | pipelines | {str(scope)}))
