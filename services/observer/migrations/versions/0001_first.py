"""The ledger, quiet windows, verdict changes, alarms, audits."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

OPEN_ADMISSION = """
CREATE FUNCTION open_admission(
  whole boolean, system_key bigint, keys bigint[], near text[], deployments boolean, quarantine_s float8,
  asked_request text, asked_activity text, draws boolean, hand_now float8
) RETURNS TABLE (seen_at float8, topology_version bigint, drawn bigint, a activities)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  k bigint;
  at float8;
  version_now bigint;
  token_drawn bigint;
BEGIN
  IF whole THEN
    PERFORM pg_advisory_xact_lock(system_key);
  ELSE
    PERFORM pg_advisory_xact_lock_shared(system_key);
  END IF;
  FOREACH k IN ARRAY keys LOOP
    PERFORM pg_advisory_xact_lock(k);
  END LOOP;
  -- The clock and the rows are read after the locks: each statement of a volatile function has a snapshot of its own.
  at := coalesce(hand_now, extract(epoch FROM clock_timestamp())::float8);
  SELECT coalesce(max(t.version), 0) INTO version_now FROM topology t WHERE t.id = 1;
  IF draws THEN
    token_drawn := nextval('fencing_tokens');
  END IF;
  RETURN QUERY
    SELECT at, version_now, token_drawn, x
    FROM (SELECT 1) AS one
    LEFT JOIN activities x ON (
      (
        (x.outcome IS NULL OR (x.outcome = 'expired' AND x.expires_at > at - quarantine_s))
        AND (
          near IS NULL
          OR x.scope = ANY(near)
          OR (starts_with(x.scope, 'stage/') AND 'pipeline/' || split_part(x.scope, '/', 2) = ANY(near))
          OR (deployments AND x.kind = 'DEPLOY')
        )
      )
      OR x.request = asked_request
      OR x.id = asked_activity
    )
    ORDER BY x.token
    LIMIT 5000;
END
$$
"""

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    op.execute("CREATE SEQUENCE fencing_tokens AS bigint START 1 CACHE 1")
    _ledger()
    _quieting()
    op.execute(OPEN_ADMISSION)
    op.create_table(
        "topology",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("document", pg.JSONB, nullable=False),
    )
    op.create_table(
        "leadership",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    _history()
    op.create_table(
        "audits",
        sa.Column("pipeline", sa.String(63), nullable=False),
        sa.Column("minute", sa.BigInteger, nullable=False),
        sa.Column("stage", sa.String(63), nullable=False),
        sa.Column("point", sa.String(3), nullable=False),
        sa.Column("node", sa.String(80), nullable=False),
        sa.Column("report", sa.String(300), nullable=False),
        sa.Column("sketch", sa.LargeBinary, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("dropped", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("watermark", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "minute", "stage", "point", "node", name="pk_audits"),
    )
    op.create_index("ix_audits_minute", "audits", ["minute"])


def _ledger() -> None:
    op.create_table(
        "activities",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("scope", sa.String(200), nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("request", sa.String(300), nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("ttl_s", sa.Double, nullable=False),
        sa.Column("began_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("override_reason", sa.Text, nullable=False, server_default=""),
        sa.Column("creates", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("security", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("parked", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("ask_request", sa.String(300)),
        sa.Column("ask_asked_at", sa.Double),
        sa.Column("ask_renewed_at", sa.Double),
        sa.Column("outcome", sa.String(20)),
        sa.Column("ended_at", sa.Double),
        sa.Column("note", sa.Text, nullable=False, server_default=""),
        sa.UniqueConstraint("request", name="uq_activities_request"),
        sa.UniqueConstraint("token", name="uq_activities_token"),
    )
    op.create_index(
        "ix_activities_unsettled", "activities", ["expires_at"], postgresql_where=sa.text("outcome IS NULL")
    )
    op.create_index(
        "ix_activities_expired", "activities", ["expires_at"], postgresql_where=sa.text("outcome = 'expired'")
    )
    op.create_index("ix_activities_scope_token", "activities", ["scope", "token"])
    op.create_table(
        "waiting",
        sa.Column("request", sa.String(300), primary_key=True),
        sa.Column("scope", sa.String(200), nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("superseded_by", sa.String(300)),
    )
    op.create_index("ix_waiting_scope", "waiting", ["scope"])


def _quieting() -> None:
    op.create_table(
        "quiet_windows",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("request", sa.String(300), nullable=False),
        sa.Column("scope", sa.String(200), nullable=False),
        sa.Column("classes", pg.ARRAY(sa.Text), nullable=False),
        sa.Column("starts_at", sa.Double, nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
        sa.Column("tail_s", sa.Double, nullable=False),
        sa.Column("activity", sa.String(80), nullable=False, server_default=""),
        sa.Column("token", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("closed_at", sa.Double),
        sa.Column("holder", sa.Text, nullable=False, server_default=""),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.UniqueConstraint("request", name="uq_quiet_windows_request"),
    )
    op.create_index("ix_quiet_windows_scope_ends_at", "quiet_windows", ["scope", "ends_at"])
    op.create_index("ix_quiet_windows_activity", "quiet_windows", ["activity"])


def _history() -> None:
    op.create_table(
        "verdict_changes",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("scope", sa.String(200), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("verdict", pg.JSONB, nullable=False),
    )
    op.create_index("ix_verdict_changes_scope_position", "verdict_changes", ["scope", "position"])
    op.create_table(
        "alarms",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("scope", sa.String(200), nullable=False),
        sa.Column("alarm_class", sa.String(40), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("reasons", pg.JSONB, nullable=False),
        sa.Column("quieted_by", sa.String(80), nullable=False, server_default=""),
        sa.Column("notified", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("resolved_at", sa.Double),
    )
    op.create_index(
        "uq_alarms_open",
        "alarms",
        ["scope", "alarm_class"],
        unique=True,
        postgresql_where=sa.text("state <> 'resolved'"),
    )
    op.create_index("ix_alarms_since", "alarms", ["since"])
    op.create_table(
        "notifications",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("alarm", sa.String(80), nullable=False),
        sa.Column("scope", sa.String(200), nullable=False),
        sa.Column("event", sa.String(12), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )


def downgrade() -> None:
    """Drop everything."""
    op.execute("DROP FUNCTION open_admission")
    for table in (
        "audits",
        "notifications",
        "alarms",
        "verdict_changes",
        "leadership",
        "topology",
        "quiet_windows",
        "waiting",
        "activities",
    ):
        op.drop_table(table)
    op.execute("DROP SEQUENCE fencing_tokens")
