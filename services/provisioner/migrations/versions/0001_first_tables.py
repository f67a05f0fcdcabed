"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "nodes",
    "routes",
    "drift_findings",
    "stacks",
    "stack_runs",
    "environments",
    "pipelines",
    "fences",
    "fleets",
    "groups",
)


def upgrade() -> None:
    op.create_table(
        "groups",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("intent", JSONB, nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("pipeline", sa.String(63)),
        sa.Column("stage", sa.String(63)),
    )
    op.create_table(
        "fleets",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("group_name", sa.String(63), sa.ForeignKey("groups.name", ondelete="CASCADE"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("weight", sa.Integer, nullable=False),
        sa.Column("leaving", sa.Boolean, nullable=False),
        sa.Column("detail", JSONB, nullable=False),
    )
    op.create_index("ix_fleets_group_name", "fleets", ["group_name"])
    op.create_table(
        "fences",
        sa.Column("scope", sa.String(200), primary_key=True),
        sa.Column("token", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "pipelines",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("intent", JSONB, nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("ramp_percent", sa.Integer, nullable=False),
    )
    op.create_table(
        "environments",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("intent", JSONB, nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("bundle", JSONB),
        sa.Column("locked", sa.Text, nullable=False),
    )
    op.create_table(
        "stack_runs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("stack", sa.String(130), nullable=False),
        sa.Column("group_name", sa.String(63), nullable=False),
        sa.Column("operation", sa.String(16), nullable=False),
        sa.Column("activity", sa.String(64), nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("processes", JSONB, nullable=False),
    )
    op.create_index("ix_stack_runs_stack_began_at", "stack_runs", ["stack", "began_at"])
    op.create_table(
        "stacks",
        sa.Column("group_name", sa.String(63), primary_key=True),
        sa.Column("declared", JSONB, nullable=False),
    )
    op.create_table(
        "drift_findings",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("group_name", sa.String(63), nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("declared", sa.Text, nullable=False),
        sa.Column("live", sa.Text, nullable=False),
        sa.Column("drift_class", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(16), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
    )
    op.create_index("ix_drift_findings_group_name", "drift_findings", ["group_name"])
    op.create_table(
        "routes",
        sa.Column("group_name", sa.String(63), primary_key=True),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("detail", JSONB, nullable=False),
    )
    op.create_table(
        "nodes",
        sa.Column("machine", sa.String(64), primary_key=True),
        sa.Column("group_name", sa.String(63), nullable=False),
        sa.Column("fleet", sa.String(80), nullable=False),
        sa.Column("key_digest", sa.String(64), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
