"""Who follows a case because they answered stands beside those who follow an area."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscriptions", sa.Column("case_key", sa.String(length=210)))
    op.create_index("ix_subscriptions_case_key", "subscriptions", ["case_key"])
