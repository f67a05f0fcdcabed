"""The Observer's tables.

Instants are double precision seconds since the epoch, by PostgreSQL's clock where leases are concerned.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.database import database_metadata

metadata = database_metadata()

TOKENS = "fencing_tokens"  # a sequence

activities = Table(
    "activities",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("scope", String(200), nullable=False),
    Column("holder", Text, nullable=False),
    Column("request", String(300), nullable=False, unique=True),
    Column("token", BigInteger, nullable=False, unique=True),
    Column("ttl_s", Double, nullable=False),
    Column("began_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("override_reason", Text, nullable=False, server_default=""),
    Column("creates", Boolean, nullable=False, server_default=text("false")),
    Column("security", Boolean, nullable=False, server_default=text("false")),
    Column("parked", Boolean, nullable=False, server_default=text("false")),
    Column("ask_request", String(300)),
    Column("ask_asked_at", Double),
    Column("ask_renewed_at", Double),
    Column("outcome", String(20)),
    Column("ended_at", Double),
    Column("note", Text, nullable=False, server_default=""),
)
Index("ix_activities_unsettled", activities.c.expires_at, postgresql_where=activities.c.outcome.is_(None))
Index("ix_activities_expired", activities.c.expires_at, postgresql_where=activities.c.outcome == "expired")
Index("ix_activities_scope_token", activities.c.scope, activities.c.token)

waiting = Table(
    "waiting",
    metadata,
    Column("request", String(300), primary_key=True),
    Column("scope", String(200), nullable=False, index=True),
    Column("holder", Text, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("superseded_by", String(300)),
)

quiet_windows = Table(
    "quiet_windows",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("request", String(300), nullable=False, unique=True),
    Column("scope", String(200), nullable=False),
    Column("classes", ARRAY(Text), nullable=False),
    Column("starts_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
    Column("tail_s", Double, nullable=False),
    Column("activity", String(80), nullable=False, server_default=""),
    Column("token", BigInteger, nullable=False, server_default="0"),
    Column("closed_at", Double),
    Column("holder", Text, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
)
Index("ix_quiet_windows_scope_ends_at", quiet_windows.c.scope, quiet_windows.c.ends_at)
Index("ix_quiet_windows_activity", quiet_windows.c.activity)

topology = Table(
    "topology",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("document", JSONB, nullable=False),
)

leadership = Table(
    "leadership",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", Double, nullable=False),
)

verdict_changes = Table(
    "verdict_changes",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("scope", String(200), nullable=False),
    Column("at", Double, nullable=False),
    Column("verdict", JSONB, nullable=False),
)
Index("ix_verdict_changes_scope_position", verdict_changes.c.scope, verdict_changes.c.position)

alarms = Table(
    "alarms",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("scope", String(200), nullable=False),
    Column("alarm_class", String(40), nullable=False),
    Column("state", String(12), nullable=False),
    Column("since", Double, nullable=False),
    Column("reasons", JSONB, nullable=False),
    Column("quieted_by", String(80), nullable=False, server_default=""),
    Column("notified", Boolean, nullable=False, server_default=text("false")),
    Column("resolved_at", Double),
)
Index(
    "uq_alarms_open", alarms.c.scope, alarms.c.alarm_class, unique=True, postgresql_where=alarms.c.state != "resolved"
)
Index("ix_alarms_since", alarms.c.since)

notifications = Table(
    "notifications",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("alarm", String(80), nullable=False),
    Column("scope", String(200), nullable=False),
    Column("event", String(12), nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Double, nullable=False),
)

audits = Table(
    "audits",
    metadata,
    Column("pipeline", String(63), nullable=False),
    Column("minute", BigInteger, nullable=False),
    Column("stage", String(63), nullable=False),
    Column("point", String(3), nullable=False),
    Column("node", String(80), nullable=False),
    Column("report", String(300), nullable=False),
    Column("sketch", LargeBinary, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False, server_default="0"),
    Column("watermark", Double, nullable=False),
    PrimaryKeyConstraint("pipeline", "minute", "stage", "point", "node"),
)
Index("ix_audits_minute", audits.c.minute)
