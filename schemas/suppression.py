"""`suppressions`: whom nothing more may be sent to, for what, and why.

The id is a keyed hash of the address's blind index and the scope, so that next week's import of the same address meets
it. A suppression made at a page names the message number; the notifier resolves it to the address. A suppression of
scope `round` holds a whole round (undone, withdrawn) and has no address; it holds what was derived from its basis or a
lower one, so that the next release ends it by itself, whichever of the two records is read first.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from schemas.identity import derived
from schemas.types import Basis, CaseKey, Event, Line, Moment, OpenId, OurId

SUPPRESSION_CHANGED: Final = "se.nardialog.suppression.changed.v1"


class Suppression(Event):
    """One suppression in full; `lifted` ends it, with a reason."""

    suppression_id: OurId
    kind: Literal["stop", "bounce", "complaint", "erased", "undone", "withdrawn"]
    scope: Literal["case", "area", "kind", "all", "round"]
    address_index: Annotated[str, Field(max_length=64)] | None = None
    """The address's keyed blind index; the notifier alone can make it."""
    message_number: Annotated[int, Field(ge=0, lt=2**64)] | None = None
    round_id: OurId | None = None
    case_key: CaseKey | None = None
    case_type: OpenId | None = None
    subscription_id: OurId | None = None
    """Of scope `area`: the subscription whose area it is. Without one, all of the municipality is stopped."""
    lifted: bool = False
    reason: Line = ""
    by: Line = ""
    """Of one that an operator lifted: who did."""
    basis: Basis | None = None
    """Of scope `round`: the highest basis that it holds."""
    at: Moment

    @model_validator(mode="after")
    def _names_what_it_stops(self) -> "Suppression":
        if self.scope == "round" and (self.round_id is None or self.basis is None):
            raise ValueError("scope round needs round_id and basis")
        if self.scope != "round" and self.address_index is None and self.message_number is None:
            raise ValueError("needs address_index or message_number")
        if self.scope == "case" and self.case_key is None:
            raise ValueError("scope case needs case_key")
        if self.scope == "kind" and self.case_type is None:
            raise ValueError("scope kind needs case_type")
        return self


def message_stop_id(message_number: int, scope: str, subject: str = "") -> str:
    """Names what was stopped at one message, by whichever way: twice is one stop, and its page can undo it."""
    return derived("suppression", "message", str(message_number), scope, subject)


EXAMPLE: Final = {
    "municipality": "0162",
    "suppression_id": "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
    "kind": "stop",
    "scope": "all",
    "address_index": "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf",
    "message_number": 1234567890123456789,
    "at": "2025-11-11T10:00:00+01:00",
}
