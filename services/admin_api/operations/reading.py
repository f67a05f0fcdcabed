"""Objects with their status and what may be done to them now."""

import asyncio
from collections.abc import Mapping

from services.admin_api.domain.planning import plan_deletes
from services.admin_api.domain.records import ObjectKey, ObjectKind, StoredObject
from services.admin_api.domain.roles import Actor, Verb, denied
from services.admin_api.operations.admission import dry_request
from services.admin_api.operations.context import Context
from services.admin_api.operations.peers import Asked
from services.admin_api.operations.status_of import Seen, status_of
from services.admin_api.operations.views import ActionView, ObjectList, ObjectView, ReasonView
from shared.domain.activity import ActivityKind
from shared.domain.errors import NotFound

PAGE_SIZE, PAGE_SIZE_MAX = 200, 1000
GONE = "DELETED"


class Reading:
    """Reads of intent."""

    def __init__(self, context: Context) -> None:
        """Over the ports of `context`."""
        self._context = context

    async def objects(
        self, actor: Actor, kind: ObjectKind, *, page_size: int = PAGE_SIZE, after: str = "", name_part: str = ""
    ) -> ObjectList:
        """A page, by name; deleted ones as long as something of them is there."""
        self._context.require(actor, Verb.READ)
        stored = await self._stored()
        names = sorted(k.name for k in stored if k.kind is kind and k.name > after and name_part in k.name)
        seen = await self.seen()
        views = [self._view(stored[ObjectKey(kind, n)], seen) for n in names]
        shown = [v for v in views if v.status.phase != GONE]
        size = max(1, min(page_size, PAGE_SIZE_MAX))
        token = shown[size - 1].name if len(shown) > size else ""
        return ObjectList(items=tuple(shown[:size]), next_page_token=token, unanswered=seen.unanswered)

    async def one(self, actor: Actor, key: ObjectKey) -> ObjectView:
        """With actions; NotFound names near ones."""
        self._context.require(actor, Verb.READ)
        stored = await self._stored()
        found = stored.get(key)
        seen = await self.seen()
        view = self._view(found, seen) if found else None
        if found is None or view is None or view.status.phase == GONE:
            names = sorted(k.name for k, o in stored.items() if k.kind is key.kind and not o.deleted)
            raise NotFound(
                f"{key} does not exist",
                remedy=f"there are {', '.join(names[:10])}" if names else "declare it, then `headrace apply DIR`",
            )
        actions = await self._actions(actor, found, stored)
        return view.model_copy(update={"actions": actions})

    async def seen(self) -> Seen:
        """What the services report now, each asked once."""
        asked, peers = Asked(), self._context.peers
        inventory, environments, verdicts = await asyncio.gather(
            asked.of("provisioner", peers.provisioner.inventory()),
            asked.of("provisioner", peers.provisioner.environments()),
            asked.of("observer", peers.observer.verdicts()),
        )
        return Seen(
            groups={g.spec.name: g for g in inventory[0]} if inventory is not None else None,
            pipelines={p.spec.name: p for p in inventory[1]} if inventory is not None else None,
            environments={e.spec.name: e for e in environments} if environments is not None else None,
            verdicts={v.scope: v for v in verdicts} if verdicts is not None else None,
            unanswered=tuple(asked.unanswered),
        )

    async def _stored(self) -> dict[ObjectKey, StoredObject]:
        async with self._context.store.unit() as unit:
            return await unit.objects.read(self._context.workspace)

    @staticmethod
    def _view(stored: StoredObject, seen: Seen) -> ObjectView:
        status, observed = status_of(stored, seen)
        return ObjectView.model_validate(
            {
                **dict(stored.spec),
                "generation": stored.generation,
                "observed_generation": observed,
                "status": status,
                "source": stored.source,
                "created_at": stored.created_at.timestamp(),
                "updated_at": stored.updated_at.timestamp(),
                "updated_by": stored.updated_by,
            }
        )

    # -------------------------------------------------------------------------------------------------------- actions

    async def _actions(
        self, actor: Actor, stored: StoredObject, all_stored: Mapping[ObjectKey, StoredObject]
    ) -> tuple[ActionView, ...]:
        key = stored.key
        found = [self._delete(actor, key, all_stored)]
        if key.kind is ObjectKind.SERVER_GROUP:
            scope = f"group/{key.name}"
            found.insert(
                0, await self._admitted(actor, "deploy", ActivityKind.DEPLOY, scope, f"headrace deploy {key.name}")
            )
            found.insert(1, self._by_role(actor, "rollback", Verb.DEPLOY, f"headrace rollback {key.name}"))
            found.insert(
                2, self._by_role(actor, "freeze", Verb.OPERATE, f"headrace freeze {scope} --for 1h --reason WHY")
            )
        if key.kind is ObjectKind.PIPELINE:
            found.insert(0, self._by_role(actor, "ramp hold", Verb.OPERATE, f"headrace ramp hold {key.name}"))
        return tuple(found)

    def _by_role(self, actor: Actor, name: str, verb: Verb, cli: str) -> ActionView:
        reason = denied(actor, verb, self._context.workspace)
        reasons = (ReasonView.of(reason),) if reason else ()
        return ActionView(name=name, allowed=reason is None, reasons=reasons, cli=cli)

    def _delete(self, actor: Actor, key: ObjectKey, stored: Mapping[ObjectKey, StoredObject]) -> ActionView:
        cli = f"headrace destroy {key.kind} {key.name}"
        by_role = self._by_role(actor, "delete", Verb.DECLARE, cli)
        if not by_role.allowed or stored[key].deleted:
            return by_role
        blocked = plan_deletes([key], stored).blocked
        reasons = tuple(ReasonView.of(r) for r in blocked)
        return ActionView(name="delete", allowed=not blocked, reasons=reasons, cli=cli)

    async def _admitted(self, actor: Actor, name: str, kind: ActivityKind, scope: str, cli: str) -> ActionView:
        """By the role, then by the same admission that will decide the real request, dry."""
        by_role = self._by_role(actor, name, Verb.DEPLOY, cli)
        if not by_role.allowed:
            return by_role
        asked = Asked()
        request = dry_request(self._context, actor, kind, scope)
        answer = await asked.of("observer", self._context.peers.observer.begin(request))
        if answer is None:
            return ActionView(name=name, allowed=False, reasons=tuple(asked.unanswered), cli=cli)
        allowed = answer.outcome != "blocked"
        retry = answer.retry_after_s or None
        return ActionView(name=name, allowed=allowed, reasons=answer.reasons, retry_after_s=retry, cli=cli)
