"""What version of the words and templates a message was made with."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("template_version", sa.String(length=32), nullable=False, server_default="")
    op.add_column("messages", column)
