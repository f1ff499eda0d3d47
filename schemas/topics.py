"""The topics: what they are called, what they are keyed by, how long they keep what.

One table, read by `nardialog topics create`, by the tests that hold producers and consumers against it, and by people.
A `.dlq` beside each topic keeps what could not be handled; it allows more bytes than its source, because the reason
travels in headers on top of the original record.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

DAY_MS: Final = 24 * 3600 * 1000
EVENT_BYTES: Final = 900_000
"""Largest event value on the wire, in bytes."""
TOPIC_BYTES: Final = 1_000_000
"""Largest record a source topic takes: the event, its key and its headers."""
DEAD_LETTER_BYTES: Final = 1_100_000
"""Largest record a dead-letter topic takes: a source record plus the reason headers."""


class Cleanup(StrEnum):
    """Kafka's `cleanup.policy`."""

    DELETE = "delete"
    COMPACT = "compact"


@dataclass(frozen=True)
class Topic:
    """One topic: its name, what its key is, how it is kept."""

    name: str
    key: str
    cleanup: Cleanup
    retention_ms: int | None = None
    """For `delete`: how long records stay."""
    min_compaction_lag_ms: int | None = None
    """For `compact`: how long every version stays before only the latest does."""
    max_compaction_lag_ms: int | None = None
    """For `compact`: the longest an overwritten or erased version may survive."""
    max_message_bytes: int = TOPIC_BYTES

    @property
    def dead_letters(self) -> "Topic":
        """The topic beside this one that keeps what could not be handled."""
        days = 7 if self.name in SEALED else 90
        return Topic(f"{self.name}.dlq", self.key, Cleanup.DELETE, days * DAY_MS, max_message_bytes=DEAD_LETTER_BYTES)


CASES = Topic("cases", "case key", Cleanup.COMPACT, min_compaction_lag_ms=400 * DAY_MS)
DIALOGUES = Topic("dialogues", "case key", Cleanup.COMPACT, min_compaction_lag_ms=400 * DAY_MS)
COMPANIES = Topic(
    "companies", "workplace id", Cleanup.COMPACT, min_compaction_lag_ms=DAY_MS // 24, max_compaction_lag_ms=7 * DAY_MS
)
CONTACTS = Topic("contacts", "contact id", Cleanup.COMPACT, max_compaction_lag_ms=DAY_MS)
SUBSCRIPTIONS = Topic("subscriptions", "subscription id", Cleanup.COMPACT, max_compaction_lag_ms=7 * DAY_MS)
ROUNDS = Topic("rounds", "round id", Cleanup.COMPACT, max_compaction_lag_ms=7 * DAY_MS)
INVITATIONS = Topic("invitations", "case key", Cleanup.DELETE, 400 * DAY_MS)
PREVIEWS = Topic("previews", "draft id", Cleanup.DELETE, DAY_MS // 24)
NOTICES = Topic("notices", "recipient id", Cleanup.DELETE, 7 * DAY_MS)
SUPPRESSIONS = Topic("suppressions", "suppression id", Cleanup.COMPACT, max_compaction_lag_ms=7 * DAY_MS)
DELIVERIES = Topic("deliveries", "message id", Cleanup.DELETE, 400 * DAY_MS)
RESPONSES = Topic("responses", "case key", Cleanup.DELETE, 400 * DAY_MS)

SEALED: Final = frozenset({"contacts", "notices"})
"""Topics whose values may hold class A personal data, sealed to the notifier; their dead letters are kept 7 days."""

TOPICS: Final = (
    CASES,
    DIALOGUES,
    COMPANIES,
    CONTACTS,
    SUBSCRIPTIONS,
    ROUNDS,
    INVITATIONS,
    PREVIEWS,
    NOTICES,
    SUPPRESSIONS,
    DELIVERIES,
    RESPONSES,
)

ALL_TOPICS: Final = (*TOPICS, *(topic.dead_letters for topic in TOPICS))
"""The twelve topics and their dead letters: what `nardialog topics create` makes."""
