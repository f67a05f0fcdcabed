"""Tokens: made at random, shown once, kept as digests; and who a token says you are."""

import hmac
from datetime import timedelta
from hashlib import sha256

from services.admin_api.domain.records import TokenRecord
from services.admin_api.domain.roles import ANY_WORKSPACE, Actor, Role, Verb, denied
from services.admin_api.domain.throttle import BadTokenThrottle
from services.admin_api.operations.context import Context
from services.admin_api.operations.views import AuditList, AuditView, Me, TokenList, TokenView
from shared.domain.errors import InvalidInput, NotFound, Throttled, Unauthenticated
from shared.domain.names import checked_name

TOKEN_LENGTH_MAX = 500
EXPIRES_S_MAX = 400 * 24 * 3600.0
AUDIT_MAX = 1000
BOOTSTRAP = "bootstrap"
REMEDY = "send `Authorization: Bearer TOKEN`; `headrace up` wrote one to .headrace/admin-token"


def digest_of_token(token: str) -> str:
    """SHA-256: enough for text with 256 bits of chance."""
    return sha256(token.encode()).hexdigest()


class Access:
    """Who may come in."""

    def __init__(self, context: Context) -> None:
        """Over the ports of `context`."""
        self._context = context
        self._throttle = BadTokenThrottle()

    async def bootstrap(self, token: str) -> None:
        """The first administrator's token, from a file that only the stack's owner reads."""
        record = TokenRecord(BOOTSTRAP, BOOTSTRAP, Role.ADMIN, ANY_WORKSPACE, self._context.clock.now(), "the stack")
        async with self._context.store.unit() as unit:
            await unit.tokens.put_bootstrap(record, digest_of_token(token.strip()))

    async def actor(self, header: str, address: str, via: str, request_id: str) -> Actor:
        """Who calls; Unauthenticated for a bad token, Throttled after too many of them from one address."""
        now = self._context.clock.monotonic()
        wait_s = self._throttle.wait_s(address, now)
        if wait_s > 0:
            raise Throttled(
                f"too many bad tokens from {address}", remedy=f"wait {wait_s:.0f} s", retry_after_s=round(wait_s, 1)
            )
        scheme, _, token = header.partition(" ")
        if not header:
            raise Unauthenticated("no token was sent", remedy=REMEDY)
        record = None
        if scheme.lower() == "bearer" and 0 < len(token) <= TOKEN_LENGTH_MAX:
            async with self._context.store.unit() as unit:
                record = await unit.tokens.by_digest(digest_of_token(token.strip()))
        if record is None or record.revoked_at is not None:
            self._throttle.failed(address, now)
            raise Unauthenticated("the token is not known, or was revoked", remedy=REMEDY)
        if record.expires_at is not None and record.expires_at <= self._context.clock.now():
            raise Unauthenticated(f"the token {record.name!r} has expired", remedy="ask an admin for a new one")
        return Actor(record.name, record.id, Role(record.role), record.workspace, via, request_id)

    def me(self, actor: Actor) -> Me:
        """Who the token says you are, and what you may."""
        may = {verb.value: denied(actor, verb, self._context.workspace) is None for verb in Verb}
        return Me(name=actor.name, role=actor.role, workspace=actor.workspace, may=may)

    async def make(self, actor: Actor, name: str, role: str, workspace: str, expires_s: float | None) -> TokenView:
        """A new token; its text is in this answer and nowhere else."""
        self._context.require(actor, Verb.TOKENS)
        checked_name(name, "name")
        if role not in set(Role):
            raise InvalidInput(f"role: {role!r} is no role", field="role", remedy=f"use one of {', '.join(Role)}")
        if expires_s is not None and not 0 < expires_s <= EXPIRES_S_MAX:
            raise InvalidInput(
                f"expires_s: {expires_s:g} is not between 0 and {EXPIRES_S_MAX:g}",
                field="expires_s",
                remedy="give seconds, at most 400 days",
            )
        now = self._context.clock.now()
        record = TokenRecord(
            self._context.ids.new("tok"),
            name,
            role,
            workspace,
            now,
            actor.name,
            now + timedelta(seconds=expires_s) if expires_s else None,
        )
        token = self._context.credentials.new_token()
        async with self._context.store.unit() as unit:
            await unit.tokens.add(record, digest_of_token(token))
            detail = {"role": role, "workspace": workspace}
            await self._context.audit(unit, actor, "token create", f"token/{name}", detail=detail)
        return _view(record).model_copy(update={"token": token})

    async def tokens(self, actor: Actor) -> TokenList:
        """Without their text."""
        self._context.require(actor, Verb.TOKENS)
        async with self._context.store.unit() as unit:
            return TokenList(items=tuple(_view(t) for t in await unit.tokens.newest()))

    async def revoke(self, actor: Actor, token_id: str) -> None:
        """It stops working at once."""
        self._context.require(actor, Verb.TOKENS)
        async with self._context.store.unit() as unit:
            found = [t for t in await unit.tokens.newest() if hmac.compare_digest(t.id, token_id) or t.name == token_id]
            if not found or not await unit.tokens.revoke(found[0].id, self._context.clock.now()):
                raise NotFound(f"token {token_id!r} does not exist", remedy="`headrace token list`")
            await self._context.audit(unit, actor, "token revoke", f"token/{found[0].name}")

    async def audit_log(self, actor: Actor, limit: int, before_seq: int | None) -> AuditList:
        """Newest first."""
        from services.admin_api.domain.audit_chain import first_broken

        self._context.require(actor, Verb.AUDIT)
        async with self._context.store.unit() as unit:
            rows = await unit.audit.newest(max(1, min(limit, AUDIT_MAX)), before_seq)
        in_order = rows[::-1]
        unbroken = not rows or first_broken(in_order, in_order[0].previous) is None
        items = tuple(
            AuditView(
                seq=r.seq,
                at=r.entry.at.timestamp(),
                actor=r.entry.actor,
                role=r.entry.role,
                via=r.entry.via,
                action=r.entry.action,
                subject=r.entry.subject,
                outcome=r.entry.outcome,
                reason=r.entry.reason,
                request_id=r.entry.request_id,
                detail=dict(r.entry.detail),
                digest=r.digest,
            )
            for r in rows
        )
        return AuditList(items=items, unbroken=unbroken)


def _view(t: TokenRecord) -> TokenView:
    return TokenView(
        id=t.id,
        name=t.name,
        role=t.role,
        workspace=t.workspace,
        created_at=t.created_at.timestamp(),
        created_by=t.created_by,
        expires_at=t.expires_at.timestamp() if t.expires_at else None,
        revoked_at=t.revoked_at.timestamp() if t.revoked_at else None,
    )
