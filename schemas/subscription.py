"""`subscriptions`: what a business asked to hear of: an area, industries, how often.

A subscriber is a recipient of its own; its address travels in `contacts`, sealed. The key is the subscription id, and a
tombstone ends it. The event is published only once the address was confirmed.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from schemas.types import Event, IndustryCode, Key, Language, Latitude, Line, Longitude, Metres, Moment, OurId, Value

SUBSCRIPTION_CHANGED: Final = "se.nardialog.subscription.changed.v1"


class Circle(Value):
    """A point in WGS 84 and a radius in metres (EPSG:3006)."""

    longitude: Longitude
    latitude: Latitude
    radius_m: Annotated[Metres, Field(ge=50, le=20_000)]


class SubscribedArea(Value):
    """Where: a circle, or the whole municipality. `label` is what people read: `800 m runt Mörby centrum`."""

    kind: Literal["circle", "municipality"]
    label: Line
    circle: Circle | None = None
    workplace_id: Key | None = None
    """Where the circle lies around the subscriber's own workplace."""

    @model_validator(mode="after")
    def _is_whole(self) -> "SubscribedArea":
        if (self.kind == "circle") != (self.circle is not None):
            raise ValueError("kind circle needs a circle, and the whole municipality has none")
        return self


class Subscription(Event):
    """One subscription in full. No industries means all of them."""

    subscription_id: OurId
    recipient_id: OurId
    area: SubscribedArea
    industries: Annotated[list[IndustryCode], Field(max_length=100)] = []
    frequency: Literal["at_once", "weekly"] = "at_once"
    language: Language = "sv"
    confirmed_at: Moment


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
