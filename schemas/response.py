"""`responses`: what businesses answered. Public records (*allmänna handlingar*), not erased with a contact.

The id derives from the form's own key, so that a double click or a reload is one answer. A later answer of the same
invitation has a higher `sequence`; the last counts and the earlier ones are kept. No address stands here.
"""

from typing import Annotated, Final

from pydantic import Field

from schemas.types import CaseKey, Count, Event, Key, Line, Moment, OpenId, OurId, Text

RESPONSE_RECORDED: Final = "se.nardialog.response.recorded.v1"


class Response(Event):
    """One answer of one invited recipient. `participated`: the answer came by a link; nobody signed in."""

    response_id: OurId
    kind: OpenId = "answered"
    """`answered`, `participated`, or `registered` by the registrar."""
    case_key: CaseKey
    case_id: Key
    source: Key
    stage: OpenId
    occurrence: Annotated[int, Field(ge=1, le=1000)]
    round_id: OurId
    invitation_id: OurId
    recipient_id: OurId
    message_number: Annotated[int, Field(ge=0, lt=2**64)] | None = None
    form: OpenId
    answer: OpenId
    """`ja`, `nej`, `vet_inte`, `kanske` or `ej_relevant`."""
    text: Text = ""
    attendees: Count | None = None
    sequence: Annotated[int, Field(ge=1)] = 1
    reference: Line
    """What people quote: `7F3-K2Q`. One reference for the answers that one form gave."""
    via: OpenId = "link"
    at: Moment


EXAMPLE: Final = {
    "municipality": "0162",
    "response_id": "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
    "case_key": "0162/exempel/EX-2",
    "case_id": "EX-2",
    "source": "exempel",
    "stage": "projektering",
    "occurrence": 1,
    "round_id": "00112233445566778899aabbccddeeff",
    "invitation_id": "ffeeddccbbaa99887766554433221100",
    "recipient_id": "5f0c1d2e3a4b5c6d7e8f901234567890",
    "message_number": 1234567890123456789,
    "form": "fraga",
    "answer": "ja",
    "text": "Leveranser kommer 05.30.",
    "reference": "7F3-K2Q",
    "at": "2025-11-11T10:00:00+01:00",
}
