"""`notices`: what the portal asks the notifier to send at once to one person: a confirmation, a magic link, a receipt.

An address comes in one of two ways: the number of a message that was sent to it, or typed in by its owner, and then
sealed together with the link that proves the owner reads it: whoever can read this topic can neither learn the address
nor confirm in its name. Key: recipient id. `parameters` are words to show and never personal data.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from schemas.contact import Sealed
from schemas.types import Event, Language, Line, Moment, OpenId, OurId, Value

NOTICE_REQUESTED: Final = "se.nardialog.notice.requested.v1"

CONFIRM: Final = "confirm"
"""Confirm a subscription by the link's button."""
MAGIC_LINK: Final = "magic_link"
"""Open the list of one's own subscriptions."""
RECEIPT: Final = "receipt"
"""An answer was received."""
STOPPED: Final = "stopped"
"""Invitations were stopped; the owner may undo it."""


class Notice(Event):
    """One notice. It is sent at most once, and not after `expires_at`."""

    notice_id: OurId
    kind: OpenId
    recipient_id: OurId
    channel: Literal["email"] = "email"
    language: Language = "sv"
    message_number: Annotated[int, Field(ge=0, lt=2**64)] | None = None
    sealed: Sealed | None = None
    """Holds a `SealedNotice`."""
    parameters: Annotated[dict[OpenId, Line], Field(max_length=20)] = {}
    at: Moment
    expires_at: Moment

    @model_validator(mode="after")
    def _has_one_address(self) -> "Notice":
        if (self.message_number is None) == (self.sealed is None):
            raise ValueError("needs either message_number or sealed")
        return self


class SealedNotice(Value):
    """What is inside the box: the address as typed, and the link's path on the portal."""

    address: Annotated[str, Field(min_length=3, max_length=254)]
    path: Annotated[str, Field(max_length=200, pattern=r"^/[A-Za-z0-9/_-]*$")] = "/"


EXAMPLE: Final = {
    "municipality": "0162",
    "notice_id": "e0e1e2e3e4e5e6e7e8e9eaebecedeeef",
    "kind": "receipt",
    "recipient_id": "5f0c1d2e3a4b5c6d7e8f901234567890",
    "message_number": 1234567890123456789,
    "parameters": {"reference": "7F3-K2Q", "title": "Stockholmsvägen byggs om", "answer": "ja"},
    "at": "2025-11-11T10:00:00+01:00",
    "expires_at": "2025-11-12T10:00:00+01:00",
}
