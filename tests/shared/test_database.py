"""Transactions against a real PostgreSQL: committed at the edge, rolled back by an exception, bounded in time."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from localcloud import ports
from localcloud.servers.postgres import PostgresServer
from shared.database import Database
from shared.domain.errors import Unavailable


@pytest.fixture
async def ledger(postgres: PostgresServer, unique_name: str) -> AsyncIterator[Database]:
    postgres.create_database(unique_name)
    access = postgres.create_schema(unique_name, "ledger", f"{unique_name}_role", "secret")
    database = Database(SecretStr(access.url), "ledger", "test")
    async with database.transaction() as connection:
        await connection.execute(text("CREATE TABLE entry (name text PRIMARY KEY)"))
    yield database
    await database.close()
    postgres.drop_database(unique_name)
    with postgres.connect() as connection:
        connection.execute(f'DROP ROLE "{unique_name}_role"')


async def names(database: Database) -> list[str]:
    async with database.transaction() as connection:
        return [row.name for row in await connection.execute(text("SELECT name FROM entry ORDER BY name"))]


async def test_a_block_commits_at_its_end_and_in_its_own_schema(ledger: Database) -> None:
    async with ledger.transaction() as connection:
        await connection.execute(text("INSERT INTO entry VALUES ('a')"))
    assert await names(ledger) == ["a"]
    async with ledger.transaction() as connection:
        found = await connection.execute(
            text("SELECT table_schema FROM information_schema.tables WHERE table_name = 'entry'")
        )
        assert found.scalar_one() == "ledger"


async def test_an_exception_rolls_the_block_back(ledger: Database) -> None:
    async def broken() -> None:
        async with ledger.transaction() as connection:
            await connection.execute(text("INSERT INTO entry VALUES ('a')"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken()
    assert await names(ledger) == []


async def test_a_statement_cannot_run_for_ever(ledger: Database) -> None:
    async with ledger.transaction() as connection:
        limit = (await connection.execute(text("SHOW statement_timeout"))).scalar_one()
        assert limit == "10s"
        await connection.execute(text("SET LOCAL statement_timeout = '20ms'"))
        with pytest.raises(DBAPIError, match="statement timeout"):
            await connection.execute(text("SELECT pg_sleep(5)"))
        await connection.rollback()


async def test_a_server_that_is_gone_is_unavailable_and_says_no_password() -> None:
    url = SecretStr(f"postgresql+psycopg://nobody:hunter2@127.0.0.1:{ports.choose()}/none")
    gone = Database(url, "ledger", "test")

    async def ask() -> None:
        async with gone.transaction():
            pytest.fail("there is no server")

    with pytest.raises(Unavailable) as caught:
        await ask()
    await gone.close()
    assert caught.value.retry_after_s
    assert "hunter2" not in str(caught.value)
