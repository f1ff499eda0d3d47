"""`deliveries`: what became of each message, and why a message there should have been never was.

The key is the message id, or the invitation id where no message came to be. Each event names the invitations that it
speaks of, so that "invited but not reached" can be answered by joining ids; a notice has a message and no invitation.
No address stands here.
"""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from schemas.types import Count, Event, Line, Moment, OpenId, OurId

DELIVERY_RECORDED: Final = "se.nardialog.delivery.recorded.v1"


class DeliveryState(StrEnum):
    """What became of a message or an invitation. Sent is not delivered: a provider took it, no person has it yet."""

    WAITING = "waiting"
    """Waits to be sent together with others; `code` says why, `detail` until when. It will be sent."""
    COMPOSED = "composed"
    """Written down with the intent to send; the provider is called next."""
    SENT = "sent"
    RETRY = "retry"
    UNKNOWN = "unknown"
    """Nobody knows whether the provider took it; the channel's policy decides what follows."""
    DELIVERED = "delivered"
    FAILED = "failed"
    NOT_REACHABLE = "not_reachable"
    """The recipient has no contact that this round may use."""
    GONE = "gone"
    """The workplace or company left the register before the message left."""
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    MERGED = "merged"
    """Came after its address's message had left; shown on that message's page."""


FINAL: Final = frozenset(
    {
        DeliveryState.SENT,
        DeliveryState.DELIVERED,
        DeliveryState.FAILED,
        DeliveryState.NOT_REACHABLE,
        DeliveryState.GONE,
        DeliveryState.SUPPRESSED,
        DeliveryState.CANCELLED,
        DeliveryState.EXPIRED,
        DeliveryState.MERGED,
    }
)
"""States after which nothing more is owed: accepted by a provider, or a stated reason why not."""


AT_REST: Final = FINAL | {DeliveryState.WAITING}
"""The same, and what only waits for its time: until then nothing is under way, and the reason is stated."""


class Delivery(Event):
    """One thing that happened to a message or an invitation."""

    delivery_id: OurId
    """Derived from what it is about, the state and the attempt: the same event told twice has the same id."""
    message_id: OurId | None = None
    message_number: Annotated[int, Field(ge=0, lt=2**64)] | None = None
    invitation_ids: Annotated[list[OurId], Field(max_length=10_000)]
    """Empty for a notice, and for nothing else."""
    round_ids: Annotated[list[OurId], Field(max_length=100)] = []
    recipient_ids: Annotated[list[OurId], Field(max_length=10_000)] = []
    channel: Literal["email", "sms", "letter"] | None = None
    kind: Literal["first", "reminder", "digest", "notice"] = "first"
    state: DeliveryState
    code: OpenId = "ok"
    detail: Line = ""
    attempt: Count = 0
    resent_unknown: bool = False
    """This attempt repeats one whose outcome stayed unknown."""
    at: Moment

    @model_validator(mode="after")
    def _names_what_it_speaks_of(self) -> "Delivery":
        if self.kind != "notice" and not self.invitation_ids:
            raise ValueError("needs an invitation; only a notice has none")
        if self.message_id is None and not self.invitation_ids:
            raise ValueError("needs message_id where there is no invitation")
        return self


EXAMPLE: Final = {
    "municipality": "0162",
    "delivery_id": "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf",
    "message_id": "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf",
    "message_number": 1234567890123456789,
    "invitation_ids": ["ffeeddccbbaa99887766554433221100"],
    "round_ids": ["00112233445566778899aabbccddeeff"],
    "recipient_ids": ["5f0c1d2e3a4b5c6d7e8f901234567890"],
    "channel": "email",
    "state": "sent",
    "code": "accepted",
    "detail": "250 2.0.0",
    "attempt": 1,
    "at": "2025-11-10T09:10:00+01:00",
}
