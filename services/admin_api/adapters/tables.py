"""The schema `admin`; `migrations/` makes it."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Identity, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.database import database_metadata

metadata = database_metadata()
TIME = DateTime(timezone=True)

objects = Table(
    "objects",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("spec", JSONB, nullable=False),
    Column("source", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("updated_at", TIME, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("deleted", Boolean, nullable=False),
)
object_history = Table(
    "object_history",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("spec", JSONB, nullable=False),
    Column("at", TIME, nullable=False),
    Column("by", Text, nullable=False),
    Column("deleted", Boolean, nullable=False),
)
plans = Table(
    "plans",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("operation", Text, nullable=False),
)
operations = Table(
    "operations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("created_at", TIME, nullable=False),
)
tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", TIME),
    Column("revoked_at", TIME),
)
audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", JSONB, nullable=False),
    Column("previous", Text, nullable=False),
    Column("digest", Text, nullable=False),
)
events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("at", TIME, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("body", JSONB),
)
answers = Table(
    "answers",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", TIME, nullable=False),
)
code = Table(
    "code",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("at", TIME, nullable=False),
    Column("by", Text, nullable=False),
)
