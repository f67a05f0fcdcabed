"""Decisions, memories, reservations, fences, intents and the leader."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leader",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_leader"),
    )
    op.create_table(
        "group_states",
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("memory", JSONB, nullable=False),
        sa.Column("latest", JSONB),
        sa.Column("row_at_s", sa.Float, nullable=False),
        sa.Column("last_outcome", JSONB),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("group_name", name="pk_group_states"),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("at_s", sa.Float, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
    )
    op.create_index("ix_decisions_group_name_at_s", "decisions", ["group_name", "at_s"])
    op.create_index("ix_decisions_at_s", "decisions", ["at_s"])
    op.create_table(
        "reservations",
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("fleet", sa.Text, nullable=False),
        sa.Column("activity", sa.Text, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.Integer, nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("other_floor", sa.Integer, nullable=False),
        sa.Column("ttl_s", sa.Float, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("group_name", "fleet", "activity", name="pk_reservations"),
    )
    op.create_table(
        "fences",
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("group_name", "lane", name="pk_fences"),
    )
    op.create_table(
        "intents",
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("fleet", sa.Text, nullable=False),
        sa.Column("asg", sa.Text, nullable=False),
        sa.Column("activity", sa.Text, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("previous", sa.Integer, nullable=False),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("at_s", sa.Float, nullable=False),
        sa.Column("result", sa.Text),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("number", name="pk_intents"),
    )
    op.create_index("ix_intents_at_s", "intents", ["at_s"])


def downgrade() -> None:
    for table in ("intents", "fences", "reservations", "decisions", "group_states", "leader"):
        op.drop_table(table)
