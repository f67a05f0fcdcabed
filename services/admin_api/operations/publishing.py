"""Code bundles: checked, then published under their own digest."""

from hashlib import sha256

from services.admin_api.domain.code_bundle import checked_bundle
from services.admin_api.domain.ports import CodeRecord
from services.admin_api.domain.roles import Actor, Verb
from services.admin_api.operations.context import Context
from services.admin_api.operations.views import CodeView
from shared.domain.errors import InvalidInput, NotFound


class Publishing:
    """Uploads of code."""

    def __init__(self, context: Context) -> None:
        """Over the ports of `context`."""
        self._context = context

    async def upload(self, actor: Actor, content: bytes, promised: str) -> CodeView:
        """InvalidInput when the content is not what was promised, or holds what no bundle may hold."""
        self._context.require(actor, Verb.UPLOAD)
        digest = sha256(content).hexdigest()
        if promised and promised != digest:
            raise InvalidInput(
                f"code: the content's sha256 is {digest}, promised was {promised!r}",
                field="sha256",
                remedy="the upload was damaged, or another file was sent: send it again",
            )
        contents = checked_bundle(content)
        async with self._context.store.unit() as unit:
            known = await unit.code.get(digest)
        url = await self._context.code.put(digest, content)  # also when known: a lost object comes back
        async with self._context.store.unit() as unit:
            await unit.code.add(CodeRecord(digest, url, len(content)), self._context.clock.now(), actor.name)
            if known is None:
                detail = {"size": len(content), "files": contents.files}
                await self._context.audit(unit, actor, "code upload", f"code/{digest}", detail=detail)
        return CodeView(sha256=digest, size=len(content), files=contents.files)

    async def get(self, actor: Actor, digest: str) -> CodeView:
        """Whether a bundle is there already."""
        self._context.require(actor, Verb.READ)
        async with self._context.store.unit() as unit:
            found = await unit.code.get(digest)
        if found is None:
            raise NotFound(f"code {digest!r} was not uploaded", remedy="POST it to /v1/code")
        return CodeView(sha256=digest, size=found.size)
