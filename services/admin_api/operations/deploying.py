"""Deployments: start one, tell a running one what a person wants, go back to the revision before.

A deployment is refused here, with the Observer's reasons and nothing changed, when it would not be admitted now; the
workflow asks again before every step. With `wait` it queues instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.admin_api.domain.planning import check_references
from services.admin_api.domain.ports import Unit
from services.admin_api.domain.records import ObjectKey, ObjectKind, Operation, Spec, StoredObject
from services.admin_api.domain.roles import Actor, Verb
from services.admin_api.operations.admission import dry_request, refuse_unless_admitted
from services.admin_api.operations.apply_input import artifact_of
from services.admin_api.operations.context import Context
from services.admin_api.operations.long_work import LongWork
from services.admin_api.operations.planning import event_body
from services.admin_api.operations.specs import checked_object
from services.admin_api.operations.status_of import running_revision
from shared.contracts import queues
from shared.contracts.deployment import DeployInput, DeploymentModel
from shared.contracts.provisioning import Artifact, Revision
from shared.domain.activity import ActivityKind
from shared.domain.errors import AlreadyExists, Conflict, HeadraceError, InvalidInput, NotFound, Refused
from shared.domain.reason import Reason, Remedy

QUEUE_S_MAX = 24 * 3600.0
ORDERS = ("abort", "pause", "resume", "promote")
GOING = frozenset({"PLANNED", "WAITING", "RUNNING", "ROLLING_BACK"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be deployed; what is None stays as declared."""

    group: str
    code: str | None = None  # sha256 of an uploaded bundle
    environment: str | None = None
    variables: Mapping[str, str] | None = None
    rollout: Mapping[str, Any] | None = None
    reason: str = ""
    override_reason: str = ""
    wait: bool = False
    wait_s_max: float = 1800.0


class Deploying:
    """Deployments of groups."""

    def __init__(self, context: Context, long_work: LongWork) -> None:
        """`long_work` starts and follows them."""
        self._context = context
        self._long_work = long_work

    async def start(self, actor: Actor, wanted: Wanted) -> Operation:
        """Refused with every reason when admission says no now."""
        self._context.require(actor, Verb.DEPLOY)
        key = ObjectKey(ObjectKind.SERVER_GROUP, wanted.group)
        async with self._context.store.unit() as unit:
            _, spec = await self._declared(unit, key, wanted)
            whole = wanted.code is None and wanted.environment is None and wanted.variables is None
            code = await self._code(unit, spec.get("code") if whole else wanted.code)
        if not wanted.wait:
            await self._ask(actor, wanted.group, wanted.override_reason)
            await self._refuse_second(wanted.group)
        operation_id = self._context.ids.new("op")
        given = DeployInput(
            group=wanted.group,
            request_id=operation_id,
            environment=spec.get("environment") if whole else wanted.environment,
            code=code,
            variables=spec["variables"] if whole or wanted.variables is not None else None,
            rollout=spec["rollout"] if wanted.rollout is None else dict(wanted.rollout),
            reason=wanted.reason,
            requested_by=actor.name,
            override_reason=wanted.override_reason,
            wait=wanted.wait,
            wait_s_max=min(wanted.wait_s_max, QUEUE_S_MAX),
        )
        operation = self._operation(actor, operation_id, given, "deploy")
        async with self._context.store.unit() as unit:
            old, spec = await self._declared(unit, key, wanted, lock=True)
            await self._keep(unit, actor, old, spec)
            await self._long_work.record(unit, operation)
            await self._context.audit(
                unit, actor, "deploy", f"group/{wanted.group}", reason=wanted.reason, detail=_told(given)
            )
        self._context.changed()
        return await self._started(operation, wait=wanted.wait)

    async def roll_back(self, actor: Actor, group: str, reason: str, *, wait: bool) -> Operation:
        """Undo a running deployment; without one, deploy the newest good revision before the running one."""
        self._context.require(actor, Verb.DEPLOY)
        going = [d for d in await self._context.peers.deployer.deployments(group, 5) if d.phase in GOING]
        if going:
            return await self.order(actor, going[0].id, "abort", reason)
        made = await self._context.peers.provisioner.group(group)
        running = running_revision(made)
        rows = await self._context.peers.deployer.revisions(group)
        earlier: list[Revision] = [
            r.revision for r in rows if not r.bad and running is not None and r.revision.number < running.number
        ]
        if running is None or not earlier:
            raise _refused(group, "NoWayBack", f"group {group!r} has no good revision before the running one")
        target = max(earlier, key=lambda r: r.number)
        if _sha(target.environment) != _sha(running.environment):
            raise _refused(
                group,
                "EnvironmentChanged",
                f"revision {target.number} of {group!r} ran another build of its environment",
                f"headrace deploy {group} --env NAME",
            )
        operation_id = self._context.ids.new("op")
        if not wait:
            await self._ask(actor, group, f"rollback by {actor.name}: {reason}")
        given = DeployInput(
            group=group,
            request_id=operation_id,
            code=target.code,
            variables=dict(target.variables),
            reason=f"back to revision {target.number}: {reason}",
            requested_by=actor.name,
            override_reason=f"rollback by {actor.name}: {reason or 'no reason was given'}",
            wait=wait,
        )
        operation = self._operation(actor, operation_id, given, "rollback")
        async with self._context.store.unit() as unit:
            await self._long_work.record(unit, operation)
            await self._context.audit(unit, actor, "rollback", f"group/{group}", reason=reason, detail=_told(given))
        return await self._started(operation, wait=wait)

    async def order(self, actor: Actor, reference: str, order: str, reason: str = "") -> Operation:
        """Abort, pause, resume or promote what `reference` (a deployment, an operation or a group) names."""
        self._context.require(actor, Verb.DEPLOY)
        group, operation = await self._resolve(reference)
        await self._context.workflows.tell(queues.deploy_id(group), order, actor.name)
        async with self._context.store.unit() as unit:
            await self._context.audit(unit, actor, order, f"group/{group}", reason=reason, detail={"of": reference})
        if operation is not None:
            return operation
        return self._operation(actor, "", None, "deploy", group)

    # ---------------------------------------------------------------------------------------------------------- parts

    async def _resolve(self, reference: str) -> tuple[str, Operation | None]:
        async with self._context.store.unit() as unit:
            operation = await unit.operations.get(reference)
            open_ones = await unit.operations.unended(200)
            stored = await unit.objects.read(self._context.workspace)
        if operation is not None and operation.subject.startswith("group/"):
            return operation.subject.removeprefix("group/"), operation
        if ObjectKey(ObjectKind.SERVER_GROUP, reference) in stored:
            group = reference
        else:
            found: DeploymentModel = await self._context.peers.deployer.deployment(reference)
            group = found.group
        mine = [o for o in open_ones if (o.subject, o.workflow_type) == (f"group/{group}", "DeployGroup")]
        return group, mine[-1] if mine else None

    async def _declared(
        self, unit: Unit, key: ObjectKey, wanted: Wanted, *, lock: bool = False
    ) -> tuple[StoredObject, Spec]:
        """What is declared now, and what it becomes; checked like any other change of intent."""
        stored = await unit.objects.read(self._context.workspace, lock=lock)
        old = stored.get(key)
        if old is None or old.deleted:
            names = ", ".join(sorted(k.name for k, o in stored.items() if k.kind is key.kind and not o.deleted)[:10])
            raise NotFound(f"{key} does not exist", remedy=f"there are {names}" if names else "`headrace apply DIR`")
        changes: dict[str, Any] = {}
        if wanted.code is not None:
            changes["code"] = wanted.code
        if wanted.environment is not None:
            changes["environment"] = wanted.environment
        if wanted.variables is not None:
            changes["variables"] = dict(wanted.variables)
        body = {**dict(old.spec), **changes}
        if wanted.rollout is not None:
            checked_object({**body, "rollout": dict(wanted.rollout)}, self._context.workspace)
        _, spec = checked_object(body, self._context.workspace)
        check_references({key: spec}, {k: o.spec for k, o in stored.items() if not o.deleted} | {key: spec})
        return old, spec

    @staticmethod
    async def _code(unit: Unit, sha256: str | None) -> Artifact | None:
        if sha256 is None:
            return None
        artifact = artifact_of(await unit.code.get(sha256))
        if artifact is None:
            raise InvalidInput(
                f"code: no bundle with sha256 {sha256!r} was uploaded",
                field="code",
                remedy="POST the packed folder to /v1/code first; `headrace deploy GROUP --code DIR` does it",
            )
        return artifact

    async def _ask(self, actor: Actor, group: str, override_reason: str) -> None:
        asked = dry_request(self._context, actor, ActivityKind.DEPLOY, f"group/{group}", override_reason)
        await refuse_unless_admitted(self._context, asked, "a deployment")

    async def _refuse_second(self, group: str) -> None:
        """Before anything is written: one deployment of a group runs at a time."""
        state = await self._context.workflows.state(queues.deploy_id(group), "")
        if state is not None and state.status == "running":
            raise _runs_already(group)

    async def _keep(self, unit: Unit, actor: Actor, old: StoredObject, spec: Spec) -> None:
        """A deployment of something else than was declared changes what is declared."""
        if dict(spec) == dict(old.spec):
            return
        now = self._context.clock.now()
        new = replace(old, spec=spec, generation=old.generation + 1, updated_at=now, updated_by=actor.name)
        await unit.objects.write(new)
        await unit.events.append(now, new.workspace, new.key.kind, new.key.name, new.generation, event_body(new))

    def _operation(
        self, actor: Actor, operation_id: str, given: DeployInput | None, kind: str, group: str = ""
    ) -> Operation:
        name = given.group if given else group
        return Operation(
            id=operation_id,
            workspace=self._context.workspace,
            kind=kind,
            subject=f"group/{name}",
            workflow_type="DeployGroup",
            workflow_id=queues.deploy_id(name),
            input=given.model_dump(mode="json") if given else None,
            requested_by=actor.name,
            created_at=self._context.clock.now(),
        )

    async def _started(self, operation: Operation, *, wait: bool) -> Operation:
        try:
            return await self._long_work.start(operation, again=True, queue=False)
        except AlreadyExists as e:
            if wait:
                return await self._follow(operation)
            await self._long_work.refuse(operation, f"{operation.workflow_id} runs already")
            raise _runs_already(operation.subject.removeprefix("group/")) from e

    async def _follow(self, operation: Operation) -> Operation:
        try:
            return await self._long_work.follow_newer(operation)
        except NotFound:  # it ended in between
            return await self._long_work.start(operation, again=True, queue=False)


def _runs_already(group: str) -> HeadraceError:
    return Conflict(
        f"a deployment of group {group!r} runs already",
        remedy=f"`headrace explain group/{group}` shows it; `headrace abort {group}`, or ask again with --queue",
    )


def _told(given: DeployInput) -> dict[str, Any]:
    """What the audit log keeps of a request; variables may hold what is nobody's business."""
    code = given.code.sha256 if given.code else None
    return {
        "operation": given.request_id,
        "code": code,
        "environment": given.environment,
        "override": given.override_reason,
    }


def _sha(artifact: Artifact | None) -> str:
    return artifact.sha256 if artifact else ""


def _refused(group: str, code: str, text: str, cli: str = "") -> HeadraceError:
    remedy = (Remedy("deploy the code you want", cli or f"headrace deploy {group} --code DIR"),)
    return Refused(text, reasons=(Reason(code, f"group/{group}", text, remedy=remedy),), remedy=remedy[0].cli)
