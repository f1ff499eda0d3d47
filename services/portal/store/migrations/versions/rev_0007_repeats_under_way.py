"""An Idempotency-Key is claimed while its request is under way."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("repeats", sa.Column("lease_until", sa.BigInteger(), nullable=False, server_default="0"))
