"""`companies`: public register facts about workplaces, and the marker that ends an import.

A workplace is where an organisation works (SCB's arbetsställe). An organisation number that is a personal number never
stands here: `organisation` is then absent and `recipient_id`, a keyed hash, groups the workplaces. An import ends with
one marker on each partition; until all are there, its rows are not matched.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.types import Count, Event, Hash, IndustryCode, Key, Language, Latitude, Line, Longitude, Moment, OurId

COMPANY_CHANGED: Final = "se.nardialog.company.changed.v1"
IMPORT_COMPLETED: Final = "se.nardialog.company.imported.v1"
MARKER_PREFIX: Final = "import-marker/"
"""Keys of markers begin so; the partition's number follows. No workplace id may."""


class Company(Event):
    """One workplace. Without `lon` and `lat` it is found by municipality and codes, never by distance."""

    workplace_id: Key
    recipient_id: OurId
    organisation: Annotated[str, Field(max_length=100)] | None = None
    name: Line
    lon: Longitude | None = None
    lat: Latitude | None = None
    sni: Annotated[list[IndustryCode], Field(max_length=10)] = []
    status: Literal["active", "closed", "vacant"] = "active"
    employees: Count | None = None
    legal_form: Line = ""
    street: Line = ""
    postcode: Line = ""
    town: Line = ""
    advertising_block: bool = False
    language: Language = "sv"
    source: Key = "register"
    import_number: Count = 0


class ImportCompleted(Event):
    """The end of an import on one partition. `content_hash` is over the whole register: it is the register version."""

    import_id: OurId
    import_number: Annotated[int, Field(ge=1)]
    source: Key
    partition: Count
    partitions: Annotated[int, Field(ge=1)]
    rows: Count
    """Workplaces in the whole register after this import."""
    content_hash: Hash
    completed_at: Moment


EXAMPLE: Final = {
    "municipality": "0162",
    "synthetic": True,
    "workplace_id": "EX-0001",
    "recipient_id": "5f0c1d2e3a4b5c6d7e8f901234567890",
    "organisation": "EXO-0001",
    "name": "Exempelbageriet",
    "lon": 18.0301,
    "lat": 59.4003,
    "sni": [{"code": "10710", "version": "2025"}],
    "street": "Stockholmsvägen 40",
    "postcode": "182 30",
    "town": "Danderyd",
    "import_number": 1,
}
MARKER_EXAMPLE: Final = {
    "municipality": "0162",
    "import_id": "20251110-1",
    "import_number": 1,
    "source": "register",
    "partition": 0,
    "partitions": 6,
    "rows": 1200,
    "content_hash": "0123456789abcdef0123456789abcdef",
    "completed_at": "2025-11-10T08:00:00+01:00",
}
