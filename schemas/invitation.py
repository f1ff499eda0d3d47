"""`invitations`: who is invited to a round, and why. One per recipient and round, with all reasons as values."""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.round import Purpose
from schemas.types import (
    MAX_WORKPLACES,
    Basis,
    CaseKey,
    Count,
    Day,
    Event,
    Hash,
    Key,
    Line,
    Metres,
    Moment,
    OpenId,
    OurId,
    Value,
)

INVITATION_CHANGED: Final = "se.nardialog.invitation.changed.v1"


class InvitationState(StrEnum):
    """What the matcher says of an invitation. *Issued* after *revoked* reopens what never left."""

    ISSUED = "issued"
    REVISED = "revised"
    REVOKED = "revoked"


class Reason(Value):
    """One reason why a workplace is invited. Words are made of these values, never written as free text."""

    kind: Literal["distance", "industry", "municipality", "subscription", "named", "participant", "added"]
    role: OpenId | None = None
    """The role of the geometry that the distance is measured to."""
    ring: OpenId | None = None
    distance_m: Metres | None = None
    buffer_m: Metres | None = None
    code: Annotated[str, Field(max_length=10)] | None = None
    """The workplace's own code that is concerned."""
    heading: Annotated[str, Field(max_length=10)] | None = None
    """The code of the case or model that it lies under, of the other version where it was translated."""
    version: Annotated[str, Field(max_length=10)] | None = None
    """Of `code`."""
    translated: Literal["full", "part"] | None = None
    """`full`: all that the code may be in the other version lies under the heading; `part`: only some of it does."""
    subscription_id: OurId | None = None
    area: Line = ""
    """Of a subscription: what the subscriber calls the area, such as `800 m runt Mörby centrum`."""
    why: Line = ""
    by: Line = ""
    """Of a workplace that was added: the role or function that added it; `why` says for what reason."""
    delivery: Literal["direct", "digest"] | None = None
    """Of a ring: `digest` never sends on its own, it comes with the weekly digest. Without a word, `direct`."""


class InvitedWorkplace(Value):
    """One workplace of the recipient: its distance where one was measured, and every reason."""

    workplace_id: Key
    distance_m: Metres | None = None
    reasons: Annotated[list[Reason], Field(min_length=1, max_length=50)]


class Forms(Value):
    """The forms of dialogue offered, and the one that the message leads with."""

    primary: OpenId
    offered: Annotated[list[OpenId], Field(min_length=1, max_length=20)]


class Invitation(Event):
    """One invitation. `more_workplaces` counts those beyond the five hundred that are named."""

    invitation_id: OurId
    revision: Annotated[int, Field(ge=1)] = 1
    state: InvitationState = InvitationState.ISSUED
    round_id: OurId
    case_key: CaseKey
    case_id: Key
    stage: OpenId
    occurrence: Annotated[int, Field(ge=1, le=1000)]
    purpose: Purpose
    recipient_id: OurId
    organisation: Annotated[str, Field(max_length=100)] | None = None
    forms: Forms
    respond_by: Day | None = None
    expires_at: Moment
    model_version: Line
    register_version: Hash
    basis: Basis
    workplaces: Annotated[list[InvitedWorkplace], Field(min_length=1, max_length=MAX_WORKPLACES)]
    more_workplaces: Count = 0


EXAMPLE: Final = {
    "municipality": "0162",
    "invitation_id": "ffeeddccbbaa99887766554433221100",
    "revision": 1,
    "state": "issued",
    "round_id": "00112233445566778899aabbccddeeff",
    "case_key": "0162/exempel/EX-2",
    "case_id": "EX-2",
    "stage": "projektering",
    "occurrence": 1,
    "purpose": "ask",
    "recipient_id": "5f0c1d2e3a4b5c6d7e8f901234567890",
    "organisation": "EXO-0001",
    "forms": {"primary": "fraga", "offered": ["fraga", "aterringning"]},
    "respond_by": "2025-12-05",
    "expires_at": "2025-12-06T00:00:00+01:00",
    "model_version": "0.1.0",
    "register_version": "0123456789abcdef0123456789abcdef",
    "basis": {"case_version": 1, "decision": 0, "import_number": 1, "subscription": 0},
    "workplaces": [
        {
            "workplace_id": "EX-0001",
            "distance_m": 12.0,
            "reasons": [
                {"kind": "distance", "role": "road", "ring": "direct", "distance_m": 12.0, "buffer_m": 50.0, "why": ""},
                {"kind": "industry", "ring": "near", "code": "10710", "heading": "10", "version": "2025"},
            ],
        }
    ],
}
