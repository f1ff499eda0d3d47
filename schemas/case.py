"""`cases`: facts. Each event is a case's full state with its version; one master per source.

The same shape is a line of a case file. What a stage, a form or a procedure may be is said by the dialogue model, not
here: such ids are open strings.
"""

import re
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from schemas.geojson import Geometry, vertices
from schemas.identity import case_key
from schemas.types import (
    MAX_VERTICES,
    Day,
    Event,
    IndustryCode,
    Key,
    Line,
    Metres,
    Moment,
    OpenId,
    OurId,
    Question,
    Text,
    Title,
    Value,
    WebAddress,
    Whole,
)

CASE_CHANGED: Final = "se.nardialog.case.changed.v1"


def _with_room(value: date) -> date:
    """What is counted on from a day must have a year too."""
    if value.year > 2099:
        raise ValueError("not a plausible year; use a year between 1990 and 2099")
    return value


def _written_out(kind: type[date]) -> BeforeValidator:
    """Refuses a number: `20261220` would be the 23rd of August 1970, so many seconds after the epoch. Text is read
    here, since nothing after a validator in Python is strict JSON any more; what is wrong with it is said as ever.
    """
    adapter: TypeAdapter[date] = TypeAdapter(kind)

    def read(value: Any) -> Any:
        if isinstance(value, int | float) or (isinstance(value, str) and _NUMERAL.fullmatch(value)):
            raise ValueError("is a number; write it out, as 2025-12-05 or 2025-12-05T16:00:00+01:00")
        if not isinstance(value, str):
            return value
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            raise PydanticCustomError(error.errors()[0]["type"], "is no day or moment") from None

    return BeforeValidator(read)


_NUMERAL: Final = re.compile(r"[+-]?[0-9.]+")
CaseDay = Annotated[Day, _written_out(date), AfterValidator(_with_room)]
"""A day that a case gives."""
CaseMoment = Annotated[Moment, _written_out(datetime)]
"""A moment that a case gives."""


class CaseState(StrEnum):
    """Where a case is as a whole."""

    OPEN = "open"
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"


Role: TypeAlias = Literal["site", "road", "detour", "zone"]


class RoledGeometry(Value):
    """A geometry and what it is to the case: the site, the road, the detour, a zone such as a supply section."""

    role: Role = "site"
    geometry: Geometry


class ReachRing(Value):
    """A ring that replaces the model's for this case: metres from the geometry, industries, and why."""

    buffer_m: Metres
    role: Role | None = None
    """The geometries it is measured from; without it from sites, roads and zones, or from detours where there is
    nothing else.
    """
    industries: Literal["all"] | Annotated[list[IndustryCode], Field(min_length=1, max_length=200)] = "all"
    why: Line = ""


class Meeting(Value):
    """A meeting that the case invites to."""

    form: OpenId | None = None
    place: Line
    start: CaseMoment
    end: CaseMoment | None = None
    seats: Annotated[int, Field(ge=1, le=10_000), Whole] | None = None

    @model_validator(mode="after")
    def _ends_after_start(self) -> "Meeting":
        if self.end is not None and self.end <= self.start:
            raise ValueError("the meeting ends before it starts; correct end")
        return self


class Official(Value):
    """The named official who answers: a public role and a function's address, not a recipient."""

    name: Line
    title: Line = ""
    phone: Annotated[str, Field(max_length=40)] = ""
    email: Annotated[str, Field(max_length=254)] = ""


class Document(Value):
    """A public document of the case."""

    title: Line
    url: WebAddress


def _statements(value: Any) -> Any:
    """One text or a list of them."""
    return [value] if isinstance(value, str) else value


Statements = Annotated[
    list[Text],
    BeforeValidator(_statements, json_schema_input_type=Text | Annotated[list[Text], Field(max_length=20)]),
    Field(max_length=20),
]


class Case(Event):
    """A case's full state.

    Either it has geometries, or it concerns the whole municipality (`area`), or it names workplaces; nothing of these
    would be neither everywhere nor nowhere, and is refused.
    """

    case_id: Key
    source: Key
    version: Annotated[int, Field(ge=1, le=2_000_000_000), Whole]
    state: CaseState = CaseState.OPEN
    diary_number: Line = ""
    unit: Line = ""
    title: Title
    title_en: Annotated[Line, Field(max_length=160)] = ""
    summary: Text = ""
    summary_en: Text = ""
    case_type: OpenId
    stage: OpenId
    occurrence: Annotated[int, Field(ge=1, le=1000), Whole] = 1
    procedure: OpenId | None = None
    influence: Literal["none", "inform", "consult", "involve", "collaborate"] | None = None
    open_questions: Statements = []
    already_decided: Statements = []
    geometries: Annotated[list[RoledGeometry], Field(max_length=50)] = []
    area: Literal["municipality"] | None = None
    industries: Annotated[list[IndustryCode], Field(max_length=500)] = []
    named: Annotated[list[Key], Field(max_length=5000)] = []
    applicant: Annotated[str, Field(max_length=100)] | None = None
    """An organisation number, or a register's own id. Never a personal number: see `applicant`."""
    applicant_id: OurId | None = None
    """The applicant's recipient id, where the number is personal: the doors put it here."""
    reach: Annotated[list[ReachRing], Field(min_length=1, max_length=10)] | None = None
    urgent: bool = False
    urgent_reason: Line = ""
    stage_opened: CaseDay | None = None
    respond_by: CaseDay | None = None
    event_at: CaseMoment | None = None
    meeting: Meeting | None = None
    decision_at: CaseDay | None = None
    question: Question = ""
    question_en: Question = ""
    form: OpenId | None = None
    deviation_reason: Line = ""
    official: Official | None = None
    decision_body: Line = ""
    documents: Annotated[list[Document], Field(max_length=50)] = []
    confidential: Literal[False] = False

    @property
    def key(self) -> str:
        """The case key."""
        return case_key(self.municipality, self.source, self.case_id)

    @model_validator(mode="after")
    def _has_a_reach(self) -> "Case":
        if self.geometries and self.area:
            raise ValueError("has both geometries and area: drop area where there is a place")
        if self.state is CaseState.OPEN and not (self.geometries or self.area or self.named):
            raise ValueError('says nowhere: give geometries, or "area": "municipality", or named workplaces')
        if sum(vertices(item.geometry) for item in self.geometries) > MAX_VERTICES:
            raise ValueError(f"has more than {MAX_VERTICES} vertices in its geometries; simplify them")
        if self.urgent and not self.urgent_reason:
            raise ValueError("is urgent without urgent_reason; say why")
        return self


_ESCAPED = re.compile(rb"\\u00([4-7][0-9a-fA-F])")
_MARKED = re.compile(rb'"confidential"\s*+:\s*+(?!false\b|null\b)', re.IGNORECASE)


def may_be_confidential(value: bytes) -> bool:
    """Whether the bytes of a case mark it confidential, or would if they were whole. Asked before anything is parsed
    or stored, because a confidential case may not even become a dead letter with its value. Letters may be escaped, and
    wider than a byte (UTF-16).
    """
    plain = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), value.replace(b"\0", b""))
    return _MARKED.search(plain) is not None


EXAMPLE: Final = {
    "municipality": "0162",
    "source": "exempel",
    "case_id": "EX-2",
    "version": 1,
    "diary_number": "KS 2025/0123",
    "title": "Stockholmsvägen byggs om",
    "title_en": "Stockholmsvägen is rebuilt",
    "case_type": "gatuarbete",
    "stage": "projektering",
    "geometries": [
        {"role": "road", "geometry": {"type": "LineString", "coordinates": [[18.03, 59.4], [18.034, 59.402]]}}
    ],
    "respond_by": "2025-12-05",
    "official": {"name": "Anna Exempel", "title": "projektledare", "phone": "08-465 004 00"},
}
