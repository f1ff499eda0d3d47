"""Subscriptions: the view, mailed links, sealed contacts of subscribers, what can be undone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("subscription_id", sa.String(length=80), nullable=False),
        sa.Column("recipient_id", sa.String(length=80), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("subscription_id"),
    )
    op.create_index("ix_subscriptions_recipient_id", "subscriptions", ["recipient_id"])
    op.create_table(
        "links",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("recipient_id", sa.String(length=80), nullable=False),
        sa.Column("subscription", sa.Text()),
        sa.Column("contact", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_links_recipient_id", "links", ["recipient_id"])
    op.create_index("ix_links_expires_at", "links", ["expires_at"])
    op.create_table(
        "subscribers",
        sa.Column("recipient_id", sa.String(length=80), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("recipient_id"),
    )
    op.create_table(
        "removed_subscriptions",
        sa.Column("subscription_id", sa.String(length=80), nullable=False),
        sa.Column("recipient_id", sa.String(length=80), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subscription_id"),
    )
    op.create_index("ix_removed_subscriptions_recipient_id", "removed_subscriptions", ["recipient_id"])
