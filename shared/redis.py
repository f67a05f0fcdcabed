"""Redis (Valkey): a cache and a hint. Losing it may slow Headrace, never make it wrong.

Retries are off, because redis-py would repeat commands that are not idempotent; timeouts are short and ours.
"""

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

SOCKET_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 2.0
CONNECTIONS_MAX = 20


def redis_client(url: SecretStr) -> Redis:
    """A client that decodes to `str`; errors are `redis.exceptions.RedisError`."""
    return Redis.from_url(
        url.get_secret_value(),
        decode_responses=True,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        max_connections=CONNECTIONS_MAX,
        retry=Retry(NoBackoff(), 0),
    )
