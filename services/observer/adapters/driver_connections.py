"""A few connections of the pool kept in hand, spoken to without SQLAlchemy: the hot path of admission.

Checking a connection out, pinging it and wrapping each call costs more processor time than the statements themselves. A
connection that is broken, or was left within a transaction by a cancelled call, is given up and replaced.
"""

import asyncio
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database import Database
from shared.domain.errors import Unavailable

Driver = psycopg.AsyncConnection[Any]


class DriverConnections:
    """At most `size` transactions at once; who comes later waits for a turn."""

    def __init__(self, database: Database, size: int) -> None:
        """Connections are made when first needed."""
        self._database = database
        self._turns = asyncio.Semaphore(size)
        self._idle: list[tuple[AsyncConnection, Driver]] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Driver]:
        """One transaction, committed at the end of the block; Unavailable when PostgreSQL does not answer."""
        async with self._turns:
            connection, driver = await self._take()
            try:
                async with driver.transaction():
                    yield driver
            except psycopg.OperationalError as e:  # also: a lock that was not had in time
                raise _unavailable(e) from e
            finally:
                await self._give_back(connection, driver)

    async def _take(self) -> tuple[AsyncConnection, Driver]:
        """One in hand that still answers (PostgreSQL may have been restarted meanwhile), or a new one."""
        while self._idle:
            connection, driver = self._idle.pop()
            if not _hung_up(driver):
                return connection, driver
            await _drop(connection)
        try:
            connection = await self._database.engine.connect()
            made = (await connection.get_raw_connection()).driver_connection
        except OperationalError as e:
            raise _unavailable(e.orig or e) from e
        assert isinstance(made, psycopg.AsyncConnection)  # noqa: S101  the URL says psycopg
        return connection, made

    async def _give_back(self, connection: AsyncConnection, driver: Driver) -> None:
        if driver.closed or driver.info.transaction_status is not TransactionStatus.IDLE:
            await _drop(connection)
        else:
            self._idle.append((connection, driver))

    async def close(self) -> None:
        """Give all of them back to the pool."""
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.close()


def _hung_up(driver: Driver) -> bool:
    """Whether the server has closed its side: something to read on an idle connection is its last word."""
    if driver.closed:
        return True
    looking = select.poll()
    looking.register(driver.fileno(), select.POLLIN)
    return bool(looking.poll(0))


async def _drop(connection: AsyncConnection) -> None:
    await connection.invalidate()
    await connection.close()


def _unavailable(e: BaseException) -> Unavailable:
    return Unavailable(
        f"ledger: {type(e).__name__} while talking to PostgreSQL",
        remedy="it is retried; `headrace status` shows whether PostgreSQL is up",
        retry_after_s=1.0,
    )
