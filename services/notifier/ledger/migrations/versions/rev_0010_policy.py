"""What messages cost their readers, what waits for a digest, and how often subscribers want to hear."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("asks", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("messages", sa.Column("minutes", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("messages", sa.Column("waits", sa.String(length=20), nullable=False, server_default=""))
    op.add_column("messages", sa.Column("digest_id", sa.String(length=80), nullable=True))
    op.create_index("ix_messages_digest_id", "messages", ["digest_id"])
    op.create_index("ix_messages_state", "messages", ["state", "due"])
    op.create_table(
        "subscriptions",
        sa.Column("subscription_id", sa.String(length=80), nullable=False),
        sa.Column("frequency", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("subscription_id"),
    )
    controls = sa.table("controls", sa.column("name"), sa.column("reason"), sa.column("at"))
    op.bulk_insert(controls, [{"name": "addressing", "reason": "held by whoever addresses", "at": 0}])
