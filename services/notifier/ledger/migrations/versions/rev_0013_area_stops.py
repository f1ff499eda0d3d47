"""A stop of an area says which: the subscription's that led to the message."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("suppressions", sa.Column("subscription_id", sa.String(length=80)))
