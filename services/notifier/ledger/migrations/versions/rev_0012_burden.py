"""What one reader had is found by its index, however much all readers had.

With the address alone in it, SQLite preferred the index of channel and state, which are those of nearly every message.
What a company was asked is a walk over all of its invitations: now from index to index, without their rows.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_messages_address", "messages")
    op.create_index("ix_messages_address", "messages", ["address_index", "channel", "state"])
    op.drop_index("ix_invitations_recipient_id", "invitations")
    op.create_index("ix_invitations_recipient", "invitations", ["recipient_id", "invitation_id"])
    op.drop_index("ix_message_invitations_invitation_id", "message_invitations")
    op.create_index("ix_message_invitations_invitation", "message_invitations", ["invitation_id", "message_id"])
