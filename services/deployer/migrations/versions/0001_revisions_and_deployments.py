"""Revisions, deployments, steps and analyses."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "revisions",
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("made_at_s", sa.Float, nullable=False),
        sa.Column("bad", sa.Boolean, nullable=False),
        sa.Column("bad_reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("group_name", "number", name="pk_revisions"),
    )
    op.create_table(
        "deployments",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("from_revision", sa.Integer, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("plan", JSONB, nullable=False),
        sa.Column("started_at_s", sa.Float, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("step_text", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("ended_at_s", sa.Float),
        sa.Column("reasons", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deployments"),
        sa.UniqueConstraint("request", name="uq_deployments_request"),
    )
    op.create_index("ix_deployments_group_name_started_at_s", "deployments", ["group_name", "started_at_s"])
    op.create_table(
        "steps",
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at_s", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("deployment", "step", "state", name="pk_steps"),
    )
    op.create_table(
        "analyses",
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("until_s", sa.Float, nullable=False),
        sa.Column("judged", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("deployment", "until_s", name="pk_analyses"),
    )


def downgrade() -> None:
    for table in ("analyses", "steps", "deployments", "revisions"):
        op.drop_table(table)
