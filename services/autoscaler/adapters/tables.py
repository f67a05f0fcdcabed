"""The Autoscaler's tables; times are PostgreSQL's where a lease depends on them, else the decision's own."""

from sqlalchemy import BigInteger, Column, DateTime, Float, Identity, Index, Integer, PrimaryKeyConstraint, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.database import database_metadata

metadata = database_metadata()

leader = Table(
    "leader",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)

group_states = Table(
    "group_states",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("memory", JSONB, nullable=False),
    Column("latest", JSONB),
    Column("row_at_s", Float, nullable=False),
    Column("last_outcome", JSONB),  # written by activities only; ticks write the other columns
    Column("updated_at", DateTime(timezone=True), nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("group_name", Text, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("action", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("outcome", Text, nullable=False),
    Index("ix_decisions_group_name_at_s", "group_name", "at_s"),
    Index("ix_decisions_at_s", "at_s"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("group_name", Text, nullable=False),
    Column("fleet", Text, nullable=False),
    Column("activity", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("floor", Integer, nullable=False),
    Column("share", Float, nullable=False),
    Column("other_floor", Integer, nullable=False),
    Column("ttl_s", Float, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("group_name", "fleet", "activity"),
)

fences = Table(
    "fences",
    metadata,
    Column("group_name", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    PrimaryKeyConstraint("group_name", "lane"),
)

intents = Table(
    "intents",
    metadata,
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    Column("group_name", Text, nullable=False),
    Column("fleet", Text, nullable=False),
    Column("asg", Text, nullable=False),
    Column("activity", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("previous", Integer, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("result", Text),
    Column("settled_at", DateTime(timezone=True)),
    Index("ix_intents_at_s", "at_s"),
)

ratings = Table(
    "ratings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("group_name", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("node_type", Text, nullable=False),
    Column("rated_at_s", Float, nullable=False),
    Column("rate", Float, nullable=False),
    Column("low", Float, nullable=False),
    Column("high", Float, nullable=False),
    Column("bound", Text, nullable=False),
    Column("document", Text, nullable=False),
    Index("ix_ratings_group_name_rated_at_s", "group_name", "rated_at_s"),
)
