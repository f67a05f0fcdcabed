"""Current verdicts in Redis (Valkey): one hash of documents, and one of their (epoch, seq).

A Lua script compares and sets, so a deposed leader's late write is refused by the store itself. Losing the store closes
admission: what is not there reads UNKNOWN, until the next tick has written it again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.observer.adapters.verdict_documents import document_of_verdict, verdict_of_document
from services.observer.domain.verdict import Verdict
from shared.domain.errors import Unavailable
from shared.domain.scope import Scope

KEPT_S = 3600  # a stale UNHEALTHY stays readable for so long after the last write

_WRITE = """
local kept = 0
for i = 4, #ARGV, 2 do
  local stored = redis.call('HGET', KEYS[2], ARGV[i])
  local newer = true
  if stored then
    local epoch, seq = string.match(stored, '(%d+):(%d+)')
    epoch, seq = tonumber(epoch), tonumber(seq)
    local e, s = tonumber(ARGV[1]), tonumber(ARGV[2])
    newer = e > epoch or (e == epoch and s > seq)
  end
  if newer then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[1] .. ':' .. ARGV[2])
    kept = kept + 1
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return kept
"""

_REMOVE = """
for i = 2, #ARGV do
  local stored = redis.call('HGET', KEYS[2], ARGV[i])
  if not stored or tonumber(string.match(stored, '(%d+):')) <= tonumber(ARGV[1]) then
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('HDEL', KEYS[2], ARGV[i])
  end
end
return 0
"""


class RedisVerdicts:
    """Verdicts of one workspace's stack."""

    def __init__(self, redis: Redis, workspace: str) -> None:
        """`redis` decodes to text."""
        self._redis = redis
        self._documents = f"headrace:verdicts:{workspace}"
        self._stamps = f"headrace:verdict-stamps:{workspace}"
        self._write = redis.register_script(_WRITE)
        self._remove = redis.register_script(_REMOVE)

    async def read(self, scopes: Sequence[Scope]) -> Mapping[Scope, Verdict]:
        """Those there are; Unavailable when the store does not answer."""
        if not scopes:
            return {}
        try:
            found: Any = await self._redis.hmget(self._documents, [str(s) for s in scopes])
        except (RedisError, OSError) as e:
            raise _unavailable(e) from e
        return {scope: verdict_of_document(text) for scope, text in zip(scopes, found, strict=True) if text}

    async def read_all(self) -> Mapping[Scope, Verdict]:
        """All of them."""
        try:
            found: Any = await self._redis.hgetall(self._documents)
        except (RedisError, OSError) as e:
            raise _unavailable(e) from e
        verdicts = [verdict_of_document(text) for text in found.values()]
        return {v.scope: v for v in sorted(verdicts, key=lambda v: str(v.scope))}

    async def write(self, verdicts: Sequence[Verdict]) -> int:
        """Keep the newer ones; all of one call have one epoch and seq."""
        if not verdicts:
            return 0
        stamps = {(v.epoch, v.seq) for v in verdicts}
        pairs = [part for v in verdicts for part in (str(v.scope), document_of_verdict(v))]
        ((epoch, seq),) = stamps
        try:
            kept = await self._write(keys=[self._documents, self._stamps], args=[epoch, seq, KEPT_S, *pairs])
        except (RedisError, OSError) as e:
            raise _unavailable(e) from e
        return int(kept)

    async def remove(self, scopes: Sequence[Scope], epoch: int) -> None:
        """Scopes that left the inventory."""
        if not scopes:
            return
        try:
            await self._remove(keys=[self._documents, self._stamps], args=[epoch, *(str(s) for s in scopes)])
        except (RedisError, OSError) as e:
            raise _unavailable(e) from e


def _unavailable(e: Exception) -> Unavailable:
    return Unavailable(
        f"verdict store: {type(e).__name__}",
        remedy="it is rebuilt by the next tick once Redis answers",
        retry_after_s=2.0,
    )
