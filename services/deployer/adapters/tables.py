"""The Deployer's tables. Plans, contents and judgements are documents; what is asked for by is a column."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, PrimaryKeyConstraint, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB

from shared.database import database_metadata

metadata = database_metadata()

revisions = Table(
    "revisions",
    metadata,
    Column("group_name", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("content", JSONB, nullable=False),
    Column("made_at_s", Float, nullable=False),
    Column("bad", Boolean, nullable=False),
    Column("bad_reason", Text, nullable=False),
    PrimaryKeyConstraint("group_name", "number"),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request", Text, nullable=False),
    Column("group_name", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("from_revision", Integer, nullable=False),
    Column("phase", Text, nullable=False),
    Column("plan", JSONB, nullable=False),
    Column("started_at_s", Float, nullable=False),
    Column("step", Integer, nullable=False),
    Column("step_text", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ended_at_s", Float),
    Column("reasons", JSONB, nullable=False),
    UniqueConstraint("request"),
    Index("ix_deployments_group_name_started_at_s", "group_name", "started_at_s"),
)

steps = Table(
    "steps",
    metadata,
    Column("deployment", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("at_s", Float, nullable=False),
    PrimaryKeyConstraint("deployment", "step", "state"),
)

analyses = Table(
    "analyses",
    metadata,
    Column("deployment", Text, nullable=False),
    Column("until_s", Float, nullable=False),
    Column("judged", JSONB, nullable=False),
    PrimaryKeyConstraint("deployment", "until_s"),
)
