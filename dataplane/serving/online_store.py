"""The online store: for each entity of a view its newest features, as one JSON text under one key.

A text is `{"t": event time, "f": {...}}`. A write is forward only: an event that is older than what is there changes
nothing, so repetition and disorder do no harm. Reads and writes of a batch are one round trip each.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from shared.contracts.serving import OnlineStore
from shared.domain.errors import InvalidInput, Unavailable

CONNECTIONS_MAX = 64
ENTITY_LENGTH_MAX = 200
PASSWORD_BYTES_MAX = 4096
_FORWARD = """
local before = redis.call('GET', KEYS[1])
if before and cjson.decode(before)['t'] > tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3]) end
return 1
"""
Features = Mapping[str, Any]


class FeatureStore:
    """One view; may be used by many threads. Errors are Unavailable."""

    def __init__(self, spec: OnlineStore, workspace: str) -> None:
        """Connects when first used. InvalidInput when the password's file cannot be read."""
        self._where = f"online store {spec.url}"
        self._prefix = f"headrace:features:{workspace}:{spec.view}:"
        self._redis = Redis.from_url(
            spec.url,
            username=spec.username or None,
            password=_password(spec.password_file),
            socket_timeout=spec.timeout_s,
            socket_connect_timeout=spec.timeout_s,
            max_connections=CONNECTIONS_MAX,
            retry=Retry(NoBackoff(), 0),
        )
        self._forward = self._redis.register_script(_FORWARD)

    def read(self, entities: Sequence[str]) -> list[Features | None]:
        """Features of each entity, in order; None: there are none."""
        if not entities:
            return []
        try:
            found = self._redis.mget([self._prefix + e for e in entities])
        except RedisError as e:
            raise Unavailable(f"{self._where}: {type(e).__name__}: {e}", retry_after_s=1.0) from e
        return [orjson.loads(text)["f"] if text else None for text in found]

    def write(self, rows: Sequence[tuple[str, float, Features]], keep_s: float | None = None) -> None:
        """Entities with event time and features; kept for so long, or for ever."""
        if not rows:
            return
        keep_ms = 0 if keep_s is None else max(1, round(keep_s * 1000))
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for entity, time, features in rows:
                    text = orjson.dumps({"t": time, "f": features})
                    self._forward(keys=[self._prefix + entity], args=[text, repr(time), keep_ms], client=pipe)
                pipe.execute()
        except RedisError as e:
            raise Unavailable(f"{self._where}: {type(e).__name__}: {e}", retry_after_s=1.0) from e

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


def entity_of(value: object) -> str | None:
    """An entity's name of a JSON value; None when it is none.

    >>> entity_of("N14228"), entity_of(7), entity_of(""), entity_of(True)
    ('N14228', '7', None, None)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and 0 < len(value) <= ENTITY_LENGTH_MAX else None


def _password(file: str) -> str | None:
    if not file:
        return None
    try:
        with Path(file).open() as opened:
            return opened.read(PASSWORD_BYTES_MAX).strip()
    except OSError as e:
        raise InvalidInput(
            f"password_file {file!r}: {e.strerror}", field="password_file", remedy="put it on the node"
        ) from e
