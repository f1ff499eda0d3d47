"""By which provider a message went, in how many parts, at what cost in ten-thousandths of a currency."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("provider", sa.String(length=20), nullable=False, server_default=""))
    op.add_column("messages", sa.Column("segments", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("messages", sa.Column("cost", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("messages", sa.Column("currency", sa.String(length=3), nullable=False, server_default=""))
    op.create_index("ix_messages_spent", "messages", ["channel", "sent_at"])
