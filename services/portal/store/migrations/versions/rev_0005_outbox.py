"""A row of the outbox holds what was written together, and says who wrote it."""

from services.runtime.store.outbox_rows import gather

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    gather()
