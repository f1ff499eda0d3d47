"""The portal's tables. Moments are whole microseconds since 1970 UTC, so that both databases compare them alike.

All but `responses` and `outbox` are views: they can be read again from the topics. `responses` is read back from its
topic too, so that a store that was lost knows what was answered. A message's number is text: it is an identity of up to
64 bits, which no database's integer holds.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text

from services.runtime.store.feeding import NEWER, positions_table
from services.runtime.store.outbox import outbox_table

METADATA: Final = MetaData()
MIGRATIONS: Final = Path(__file__).with_name("migrations")

POSITIONS: Final = positions_table(METADATA)
OUTBOX: Final = outbox_table(METADATA)
CASES: Final = Table(
    "cases",
    METADATA,
    Column("case_key", String(210), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("municipality", String(4), nullable=False),
    Column("source", String(100), nullable=False),
    Column("case_id", String(100), nullable=False, index=True),
    Column("diary_number", String(200), nullable=False, index=True),
    Column("state", String(20), nullable=False),
    Column("body", Text, nullable=False),
    info={NEWER: "version"},
)
ROUNDS: Final = Table(
    "rounds",
    METADATA,
    Column("round_id", String(80), primary_key=True),
    Column("case_key", String(210), nullable=False, index=True),
    Column("state", String(20), nullable=False, index=True),
    Column("purpose", String(20), nullable=False),
    Column("body", Text, nullable=False),
)
DIALOGUES: Final = Table(
    "dialogues",
    METADATA,
    Column("case_key", String(210), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    info={NEWER: "number"},
)
"""All decisions on a case so far, of which the last has this number."""
INVITATIONS: Final = Table(
    "invitations",
    METADATA,
    Column("invitation_id", String(80), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("state", String(20), nullable=False),
    Column("round_id", String(80), nullable=False, index=True),
    Column("recipient_id", String(80), nullable=False),
    Column("body", Text, nullable=False),
    info={NEWER: "revision"},
)
COMPANIES: Final = Table(
    "companies",
    METADATA,
    Column("workplace_id", String(100), primary_key=True),
    Column("recipient_id", String(80), nullable=False, index=True),
    Column("municipality", String(4), nullable=False),
    Column("status", String(20), nullable=False),
    Column("name", String(200), nullable=False),
    Column("body", Text, nullable=False),
)
DELIVERIES: Final = Table(
    "deliveries",
    METADATA,
    Column("delivery_id", String(80), primary_key=True),
    Column("message_number", String(20)),
    Column("state", String(20), nullable=False),
    Column("at", BigInteger, nullable=False),
)
MESSAGES: Final = Table(
    "messages",
    METADATA,
    Column("number", String(20), primary_key=True),
    Column("message_id", String(80), nullable=False),
    Column("municipality", String(4), nullable=False),
    Column("channel", String(20), nullable=False),
    Column("kind", String(20), nullable=False),
)
MESSAGE_INVITATIONS: Final = Table(
    "message_invitations",
    METADATA,
    Column("number", String(20), primary_key=True),
    Column("invitation_id", String(80), primary_key=True, index=True),
    Column("late", Boolean, nullable=False),
)
"""`late`: the invitation came after the message had left; the message itself says nothing of it."""
OUTCOMES: Final = Table(
    "outcomes",
    METADATA,
    Column("invitation_id", String(80), primary_key=True),
    Column("round_id", String(80), nullable=False),
    Column("state", String(20), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("ix_outcomes_round", "round_id", "state"),
    info={NEWER: "at"},
)
"""The last that is known of each invitation: sent, failed, not reachable …"""
SUPPRESSIONS: Final = Table(
    "suppressions",
    METADATA,
    Column("suppression_id", String(80), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("scope", String(20), nullable=False),
    Column("municipality", String(4), nullable=False),
    Column("message_number", String(20), index=True),
    Column("round_id", String(80), index=True),
    Column("case_key", String(210)),
    Column("case_type", String(60)),
    Column("lifted", Boolean, nullable=False),
)
RESPONSES: Final = Table(
    "responses",
    METADATA,
    Column("response_id", String(80), primary_key=True),
    Column("invitation_id", String(80), nullable=False),
    Column("round_id", String(80), nullable=False, index=True),
    Column("message_number", String(20), index=True),
    Column("answer", String(60), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("reference", String(200), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_responses_invitation", "invitation_id", "sequence"),
)
API_KEYS: Final = Table(
    "api_keys",
    METADATA,
    Column("key_id", String(12), primary_key=True),
    Column("label", String(200), nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("sources", Text, nullable=False),
    Column("municipalities", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
)
"""Lists are JSON."""
SUBMISSIONS: Final = Table(
    "submissions",
    METADATA,
    Column("case_key", String(210), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("lease_until", BigInteger, nullable=False),
)
"""The last version of each case that came through the HTTP door: claimed before it is published, accepted after."""
REPEATS: Final = Table(
    "repeats",
    METADATA,
    Column("key_id", String(12), primary_key=True),
    Column("name_hash", String(64), primary_key=True),
    Column("body_hash", String(64), nullable=False),
    Column("case_key", String(210), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("event_id", String(80), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("lease_until", BigInteger, nullable=False, server_default="0"),
)
"""What was answered to a request with an Idempotency-Key; without an event it is under way, or nobody knows its end."""
SUBSCRIPTIONS: Final = Table(
    "subscriptions",
    METADATA,
    Column("subscription_id", String(80), primary_key=True),
    Column("recipient_id", String(80), nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("case_key", String(210), index=True),
)
"""`case_key`: of those that follow a case because they answered; the others follow an area."""
LINKS: Final = Table(
    "links",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("purpose", String(20), nullable=False),
    Column("recipient_id", String(80), nullable=False, index=True),
    Column("subscription", Text),
    Column("contact", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger),
)
"""Mailed links by the digest of their token; what waits for confirmation lies beside it, the address sealed."""
SUBSCRIBERS: Final = Table(
    "subscribers",
    METADATA,
    Column("recipient_id", String(80), primary_key=True),
    Column("contact", Text, nullable=False),
)
"""The confirmed contact of each subscriber, sealed: told again when a removal is undone."""
REMOVED: Final = Table(
    "removed_subscriptions",
    METADATA,
    Column("subscription_id", String(80), primary_key=True),
    Column("recipient_id", String(80), nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("removed_at", BigInteger, nullable=False),
)
