"""The Provisioner's schema."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, ForeignKey, Index, Integer, String, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.database import database_metadata

METADATA = database_metadata()

GROUPS = Table(
    "groups",
    METADATA,
    Column("name", String(63), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("intent", JSONB, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("pipeline", String(63), nullable=True),
    Column("stage", String(63), nullable=True),
)

FLEETS = Table(
    "fleets",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("group_name", String(63), ForeignKey("groups.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("weight", Integer, nullable=False),
    Column("leaving", Boolean, nullable=False),
    Column("detail", JSONB, nullable=False),
)

FENCES = Table(
    "fences",
    METADATA,
    Column("scope", String(200), primary_key=True),
    Column("token", BigInteger, nullable=False),
)

PIPELINES = Table(
    "pipelines",
    METADATA,
    Column("name", String(63), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("intent", JSONB, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("ramp_percent", Integer, nullable=False),
)

ENVIRONMENTS = Table(
    "environments",
    METADATA,
    Column("name", String(63), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("intent", JSONB, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("bundle", JSONB, nullable=True),
    Column("locked", Text, nullable=False),
)

STACK_RUNS = Table(
    "stack_runs",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("stack", String(130), nullable=False),
    Column("group_name", String(63), nullable=False),
    Column("operation", String(16), nullable=False),
    Column("activity", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("began_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True), nullable=True),
    Column("state", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("processes", JSONB, nullable=False),
    Index("ix_stack_runs_stack_began_at", "stack", "began_at"),
)

STACKS = Table(
    "stacks",
    METADATA,
    Column("group_name", String(63), primary_key=True),
    Column("declared", JSONB, nullable=False),
)

DRIFT_FINDINGS = Table(
    "drift_findings",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("group_name", String(63), nullable=False, index=True),
    Column("resource", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("declared", Text, nullable=False),
    Column("live", Text, nullable=False),
    Column("drift_class", String(16), nullable=False),
    Column("owner", String(16), nullable=False),
    Column("found_at", DateTime(timezone=True), nullable=False),
    Column("state", String(16), nullable=False),
)

ROUTES = Table(
    "routes",
    METADATA,
    Column("group_name", String(63), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("detail", JSONB, nullable=False),
)

NODES = Table(
    "nodes",
    METADATA,
    Column("machine", String(64), primary_key=True),
    Column("group_name", String(63), nullable=False),
    Column("fleet", String(80), nullable=False),
    Column("key_digest", String(64), nullable=False),
    Column("joined_at", DateTime(timezone=True), nullable=False),
)
