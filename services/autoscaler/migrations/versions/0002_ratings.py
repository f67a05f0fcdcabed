"""Ratings: what one node of a group sustains, found under load on a copy."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ratings",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("node_type", sa.Text, nullable=False),
        sa.Column("rated_at_s", sa.Float, nullable=False),
        sa.Column("rate", sa.Float, nullable=False),
        sa.Column("low", sa.Float, nullable=False),
        sa.Column("high", sa.Float, nullable=False),
        sa.Column("bound", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("ix_ratings_group_name_rated_at_s", "ratings", ["group_name", "rated_at_s"])


def downgrade() -> None:
    op.drop_table("ratings")
