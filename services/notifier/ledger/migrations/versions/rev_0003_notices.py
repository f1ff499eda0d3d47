"""Notices: what the portal asks to be sent at once to one person."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("message_id", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("recipient_id", sa.String(length=80), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("path_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("about_number", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("message_id"),
    )
