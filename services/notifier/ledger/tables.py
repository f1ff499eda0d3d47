"""The ledger's tables. Moments are whole microseconds since 1970 UTC, so that both databases compare them alike.

A basis is forty digits, whose order as text is its order. The unique key (round, address, kind) is what keeps the
promise of one first message per address and round. A digest is a message of its own (`round_id` holds its own id); the
first messages that it carries name it in `digest_id` and share its fate. `asks` and `minutes` are what a message costs
its reader; `waits` says why it waited to be sent together with others. What is personal (address, bytes of a message)
is encrypted; the keyed index finds it.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from schemas.types import Basis
from services.runtime.store.feeding import NEWER, positions_table
from services.runtime.store.outbox import SERIAL, outbox_table

METADATA: Final = MetaData()
MIGRATIONS: Final = Path(__file__).with_name("migrations")

POSITIONS: Final = positions_table(METADATA)


def sortable(basis: Basis) -> str:
    """A basis as both databases compare it."""
    return "".join(f"{part:010d}" for part in basis.order)


ROUNDS: Final = Table(
    "rounds",
    METADATA,
    Column("round_id", String(80), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("basis", String(40), nullable=False),
    Column("remind_at", BigInteger),
    Column("body", Text, nullable=False),
    info={NEWER: "basis"},
)
COMPANIES: Final = Table(
    "companies",
    METADATA,
    Column("workplace_id", String(100), primary_key=True),
    Column("recipient_id", String(80), nullable=False),
    Column("status", String(20), nullable=False),
    Column("body", Text, nullable=False),
)
CONTACTS: Final = Table(
    "contacts",
    METADATA,
    Column("contact_id", String(80), primary_key=True),
    Column("recipient_id", String(80), nullable=False, index=True),
    Column("workplace_id", String(100)),
    Column("channel", String(20), nullable=False),
    Column("role", String(60), nullable=False),
    Column("language", String(3), nullable=False),
    Column("address_encrypted", LargeBinary, nullable=False),
    Column("address_index", String(64), nullable=False),
)
SUPPRESSIONS: Final = Table(
    "suppressions",
    METADATA,
    Column("suppression_id", String(80), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("scope", String(20), nullable=False),
    Column("municipality", String(4), nullable=False),
    Column("address_index", String(64), index=True),
    Column("message_number", BigInteger),
    Column("round_id", String(80), index=True),
    Column("case_key", String(210)),
    Column("case_type", String(60)),
    Column("subscription_id", String(80)),
    Column("basis", String(40)),
    Column("lifted", Boolean, nullable=False),
    Column("reason", String(200), nullable=False, server_default=""),
    Column("by", String(200), nullable=False, server_default=""),
    Column("at", BigInteger, nullable=False),
    info={NEWER: "at"},
)
ANSWERS: Final = Table(
    "answers",
    METADATA,
    Column("invitation_id", String(80), primary_key=True),
    Column("round_id", String(80), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
)
"""Which invitations were answered, and when last; what was answered is none of the notifier's business."""
SUBSCRIPTIONS: Final = Table(
    "subscriptions",
    METADATA,
    Column("subscription_id", String(80), primary_key=True),
    Column("frequency", String(20), nullable=False),
)
"""How often somebody wants to hear. Where and of what they subscribe to is the matcher's."""
INVITATIONS: Final = Table(
    "invitations",
    METADATA,
    Column("invitation_id", String(80), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("round_id", String(80), nullable=False),
    Column("recipient_id", String(80), nullable=False),
    Column("municipality", String(4), nullable=False),
    Column("state", String(20), nullable=False),
    Column("body", Text, nullable=False),
    Column("admitted_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_invitations_recipient", "recipient_id", "invitation_id"),
    Index("ix_invitations_round", "round_id", "state"),
    Index("ix_invitations_state", "state", "expires_at"),
)
MESSAGES: Final = Table(
    "messages",
    METADATA,
    Column("message_id", String(80), primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("round_id", String(80), nullable=False),
    Column("address_index", String(64), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("channel", String(20), nullable=False),
    Column("municipality", String(4), nullable=False),
    Column("language", String(3), nullable=False),
    Column("state", String(20), nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("unknowns", Integer, nullable=False, default=0),
    Column("resent_unknown", Integer, nullable=False, default=0),
    Column("lease_owner", String(80)),
    Column("lease_until", BigInteger),
    Column("intent_at", BigInteger),
    Column("sent_at", BigInteger),
    Column("address_encrypted", LargeBinary, nullable=False),
    Column("body_encrypted", LargeBinary),
    Column("template_version", String(32), nullable=False, default="", server_default=""),
    Column("provider", String(20), nullable=False, default="", server_default=""),
    Column("provider_ref", String(300), nullable=False, default=""),
    Column("segments", Integer, nullable=False, default=0, server_default="0"),
    Column("cost", BigInteger, nullable=False, default=0, server_default="0"),
    Column("currency", String(3), nullable=False, default="", server_default=""),
    Column("code", String(60), nullable=False, default=""),
    Column("asks", Integer, nullable=False, server_default="0"),
    Column("minutes", Integer, nullable=False, server_default="0"),
    Column("waits", String(20), nullable=False, server_default=""),
    Column("digest_id", String(80), index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    UniqueConstraint("round_id", "address_index", "kind", name="uq_messages_round_address_kind"),
    Index("ix_messages_claim", "channel", "state", "urgent", "due"),
    Index("ix_messages_address", "address_index", "channel", "state"),
    Index("ix_messages_spent", "channel", "sent_at"),
    Index("ix_messages_state", "state", "due"),
)
MESSAGE_INVITATIONS: Final = Table(
    "message_invitations",
    METADATA,
    Column("message_id", String(80), primary_key=True),
    Column("invitation_id", String(80), primary_key=True),
    Index("ix_message_invitations_invitation", "invitation_id", "message_id"),
)
STEPS: Final = Table(
    "steps",
    METADATA,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("about", String(80), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("state", String(20), nullable=False),
    Column("code", String(60), nullable=False),
    Column("detail", String(200), nullable=False),
    Column("attempt", Integer, nullable=False),
)
"""Every step of a message, or of an invitation that led to none, in order. No address stands here."""
NOTICES: Final = Table(
    "notices",
    METADATA,
    Column("message_id", String(80), primary_key=True),
    Column("kind", String(60), nullable=False),
    Column("recipient_id", String(80), nullable=False),
    Column("parameters", Text, nullable=False),
    Column("path_encrypted", LargeBinary),
    Column("about_number", BigInteger),
)
"""What a notice says, until it has ended: then its message keeps neither address nor words, and this row is gone."""
OUTBOX: Final = outbox_table(METADATA)
PROVIDER_STATES: Final = Table(
    "provider_states",
    METADATA,
    Column("channel", String(20), primary_key=True),
    Column("provider", String(20), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("until", BigInteger),
    Column("code", String(60), nullable=False),
    Column("at", BigInteger, nullable=False),
)
CONTROLS: Final = Table(
    "controls",
    METADATA,
    Column("name", String(60), primary_key=True),
    Column("reason", String(200), nullable=False),
    Column("at", BigInteger, nullable=False),
)
