"""`subscriptions`: what a business asked to hear of: an area, industries, how often; or one case, because it answered.

A subscriber is a recipient of its own; its address travels in `contacts`, sealed. The key is the subscription id, and a
tombstone ends it. The event is published only once the address was confirmed. Who answers follows the case until it is
closed (dialogue rule 7): an event type of its own, which older readers skip.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from schemas.geojson import MultiPolygon, Polygon, vertices
from schemas.identity import derived
from schemas.types import (
    MAX_WORKPLACES,
    CaseKey,
    Event,
    IndustryCode,
    Key,
    Language,
    Latitude,
    Line,
    Longitude,
    Metres,
    Moment,
    OpenId,
    OurId,
    SubscriptionId,
    Value,
)

SUBSCRIPTION_CHANGED: Final = "se.nardialog.subscription.changed.v1"
CASE_FOLLOWED: Final = "se.nardialog.subscription.followed.v1"
MAX_CORNERS: Final = 2000
"""Vertices in all the shapes of one subscription: an area that somebody drew or chose, not a survey."""

Surface = Annotated[Polygon | MultiPolygon, Field(discriminator="type")]
"""A drawn or a named area, in WGS 84."""


class Circle(Value):
    """A point in WGS 84 and a radius in metres (EPSG:3006)."""

    longitude: Longitude
    latitude: Latitude
    radius_m: Annotated[Metres, Field(ge=50, le=20_000)]


class SubscribedArea(Value):
    """Where: a circle, an area that was drawn or named (sent as its geometry), or the whole municipality; less what is
    excluded. `label` is what people read: `800 m runt Mörby centrum`.
    """

    kind: Literal["circle", "municipality", "area"]
    label: Line
    circle: Circle | None = None
    geometry: Surface | None = None
    exclude: Annotated[list[Surface], Field(max_length=20)] = []
    """What happens wholly within these is not heard of."""
    workplace_id: Key | None = None
    """Where the circle lies around the subscriber's own workplace."""

    @model_validator(mode="after")
    def _is_whole(self) -> "SubscribedArea":
        if (self.kind == "circle") != (self.circle is not None):
            raise ValueError("kind circle needs a circle, and nothing else has one")
        if (self.kind == "area") != (self.geometry is not None):
            raise ValueError("kind area needs a geometry, and nothing else has one")
        shapes = [*([self.geometry] if self.geometry else []), *self.exclude]
        if sum(vertices(shape) for shape in shapes) > MAX_CORNERS:
            raise ValueError(f"has more than {MAX_CORNERS} vertices; simplify the area")
        return self


class Subscription(Event):
    """One subscription in full. No industries means all of them."""

    subscription_id: SubscriptionId
    recipient_id: OurId
    area: SubscribedArea
    industries: Annotated[list[IndustryCode], Field(max_length=100)] = []
    frequency: Literal["at_once", "daily", "weekly"] = "at_once"
    language: Language = "sv"
    confirmed_at: Moment


class Following(Event):
    """A recipient follows a case because it answered, with what it was invited for then."""

    subscription_id: SubscriptionId
    recipient_id: OurId
    case_key: CaseKey
    round_id: OurId
    """The round that was answered last."""
    stage: OpenId
    workplaces: Annotated[list[Key], Field(min_length=1, max_length=MAX_WORKPLACES)]
    since: Moment


def following_id(case: str, recipient: str) -> str:
    """A recipient follows a case once, however often it answers."""
    return derived("following", case, recipient)


EXAMPLE: Final = {
    "municipality": "0162",
    "subscription_id": "11223344556677889900aabbccddeeff",
    "recipient_id": "6f0c1d2e3a4b5c6d7e8f901234567891",
    "area": {
        "kind": "circle",
        "label": "800 m runt Mörby centrum",
        "circle": {"longitude": 18.036, "latitude": 59.4, "radius_m": 800},
    },
    "industries": [{"code": "56", "version": "2025"}],
    "confirmed_at": "2025-11-10T10:00:00+01:00",
}
FOLLOWING_EXAMPLE: Final = {
    "municipality": "0162",
    "subscription_id": "21223344556677889900aabbccddeeff",
    "recipient_id": "5f0c1d2e3a4b5c6d7e8f901234567890",
    "case_key": "0162/exempel/EX-2",
    "round_id": "00112233445566778899aabbccddeeff",
    "stage": "projektering",
    "workplaces": ["EX-0001"],
    "since": "2025-11-11T10:00:00+01:00",
}
