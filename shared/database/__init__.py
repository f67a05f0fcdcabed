"""PostgreSQL: one schema and role per service; one request or activity is one transaction, committed at the edge."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr
from sqlalchemy import MetaData
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.domain.errors import Unavailable

POOL_SIZE = 8
POOL_OVERFLOW = 8
POOL_WAIT_S = 5.0
STATEMENT_TIMEOUT_MS = 10_000
LOCK_TIMEOUT_MS = 5_000
IDLE_IN_TRANSACTION_MS = 30_000
CONNECT_TIMEOUT_S = 5

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def database_metadata() -> MetaData:
    """Metadata with the project's constraint names; tables live in the connection's search path."""
    return MetaData(naming_convention=NAMING)


class Database:
    """A pool of connections to one service's schema."""

    def __init__(self, url: SecretStr, schema: str, application: str) -> None:
        """`url` is `postgresql+psycopg://...`; `application` shows in pg_stat_activity."""
        options = (
            f"-c search_path={schema} -c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS}"
            f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_MS}"
        )
        self.engine: AsyncEngine = create_async_engine(
            url.get_secret_value(),
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            pool_timeout=POOL_WAIT_S,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "options": options,
                "application_name": f"headrace.{application}",
                "connect_timeout": CONNECT_TIMEOUT_S,
            },
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end of the block, rolled back by an exception."""
        try:
            async with self.engine.begin() as connection:
                yield connection
        except OperationalError as e:
            raise Unavailable(
                f"database: {type(e.orig).__name__} while talking to PostgreSQL",
                remedy="it is retried; `headrace status` shows whether PostgreSQL is up",
                retry_after_s=1.0,
            ) from e

    async def close(self) -> None:
        """Close the pool."""
        await self.engine.dispose()
