"""The store on PostgreSQL: one unit is one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from services.admin_api.adapters.postgres_intent import PostgresCode, PostgresObjects, PostgresPlans
from services.admin_api.adapters.postgres_record import (
    PostgresAnswers,
    PostgresAudit,
    PostgresEvents,
    PostgresOperations,
    PostgresTokens,
)
from services.admin_api.domain.ports import (
    Answers,
    Audit,
    CodeIndex,
    Events,
    Objects,
    Operations,
    Plans,
    Tokens,
    Unit,
)
from shared.database import Database


@dataclass(frozen=True, slots=True)
class PostgresUnit:
    """The stores over one connection."""

    objects: Objects
    plans: Plans
    operations: Operations
    audit: Audit
    tokens: Tokens
    events: Events
    answers: Answers
    code: CodeIndex

    @classmethod
    def over(cls, connection: AsyncConnection) -> "PostgresUnit":
        """All stores within the connection's transaction."""
        return cls(
            PostgresObjects(connection),
            PostgresPlans(connection),
            PostgresOperations(connection),
            PostgresAudit(connection),
            PostgresTokens(connection),
            PostgresEvents(connection),
            PostgresAnswers(connection),
            PostgresCode(connection),
        )


class PostgresStore:
    """`Store` on the schema `admin`."""

    def __init__(self, database: Database) -> None:
        """`database` is open for the schema."""
        self._database = database

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        """One transaction."""
        async with self._database.transaction() as connection:
            yield PostgresUnit.over(connection)
