"""A suppression's reason, and who released it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("reason", "by"):
        op.add_column("suppressions", sa.Column(name, sa.String(length=200), nullable=False, server_default=""))
