"""Routes mirrored to Redis for clients: written only forward, announced as they are written, cheap to lose."""

import json
from collections.abc import Mapping

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.contracts.node import routes_key
from shared.domain.errors import Unavailable
from shared.domain.names import GroupName, Workspace

_FORWARD = """
local before = redis.call('GET', KEYS[1])
if before and cjson.decode(before)['generation'] >= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
"""


class RedisRoutes:
    """`RouteMirror`."""

    def __init__(self, redis: Redis) -> None:
        """The client is closed by who made it."""
        self._redis = redis
        self._forward = redis.register_script(_FORWARD)

    async def restore(self, workspace: Workspace, documents: Mapping[GroupName, str]) -> tuple[GroupName, ...]:
        """Write what is missing or older."""
        names = sorted(documents)
        if not names:
            return ()
        try:
            there = await self._redis.mget([routes_key(workspace, n) for n in names])
            written = []
            for name, before in zip(names, there, strict=True):
                if before == documents[name]:
                    continue
                generation = json.loads(documents[name])["generation"]
                done = await self._forward(keys=[routes_key(workspace, name)], args=[documents[name], generation])
                if done:
                    written.append(name)
            return tuple(written)
        except RedisError as e:
            raise Unavailable(f"redis: {type(e).__name__} while mirroring routes", retry_after_s=1.0) from e
