"""What the events are made of: ids, limits, one-line text, dates that can be meant.

Every string, list and number that comes from outside has a limit here. Text is put in Unicode NFC (UAX 15) and lines
in one line, so that a title can neither break a header nor differ from itself in another normal form.
"""

import re
import unicodedata
from datetime import date, datetime
from typing import Annotated, Any, Final, NewType, TypeVar

from personnummer import personnummer
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

MAX_VERTICES: Final = 20_000
"""Vertices in all geometries of one event."""
MAX_WORKPLACES: Final = 500
"""Workplaces named in one invitation; the rest are counted."""

RoundId = NewType("RoundId", str)
InvitationId = NewType("InvitationId", str)
RecipientId = NewType("RecipientId", str)
ContactId = NewType("ContactId", str)
MessageId = NewType("MessageId", str)

DateT = TypeVar("DateT", bound=date)

_BLANKS = re.compile(r"[\s\x00-\x1f\x7f\u2028\u2029\u115f\u1160\u2800\u3164\uffa0]+")
"""Also the letters and the Braille cell that are drawn as nothing."""
_HOLLOW = re.compile(r"[\u034f\u115f\u1160\u2800\u3164\ufe00-\ufe0f\uffa0]")
"""What Python calls printable though it may show nothing."""
_SHOWN = re.compile(r"[^\u034f\u200c\u200d\ufe00-\ufe0f ]")
_BORN = re.compile(r"(\d{2})?\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01]|6[1-9]|[78]\d|9[01])[-+]?\d{4}(01)?")
"""Shaped like a date of birth, with day + 60 in a co-ordination number, and four digits: all that is worth a look."""
_SHAPED = re.compile(r"(\d{2})?\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01]|6[1-9]|[78]\d|9[01])[-+]?\w{4}")
"""A date of birth, that of a co-ordination number included (day + 60), and four signs more."""
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff\U000e0000-\U000e007f]"
)
"""Also a terminal's (C1), what turns the direction of text (UAX 9) and would show a line as another than it is, letters
that only machines read, and what is no character.
"""
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"))
_UNSEEN = re.compile(
    r"[\x80-\x84\x86-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    r"\U000e0000-\U000e007f]"
)
"""What nobody sees and no two programs agree on: soft hyphens, spaces of no width, byte-order marks in the middle of a
file that was put together, a terminal's controls, and what turns the direction of text. A line, and an id the more, is
the same without it.
"""


def _one_line(value: Any) -> Any:
    if not isinstance(value, str) or _is_one_line(value):
        return value
    line = _BLANKS.sub(" ", unicodedata.normalize("NFC", _UNSEEN.sub("", value))).strip()
    return line if _SHOWN.search(line) else ""


def _is_one_line(text: str) -> bool:
    """Most texts are, and are read far more often than they are written. The space is the one printable blank."""
    if not text.isprintable() or "  " in text or text != text.strip() or not unicodedata.is_normalized("NFC", text):
        return False
    return text.isascii() or not _HOLLOW.search(text)


def _lines(value: Any) -> Any:
    return plain_lines(value) if isinstance(value, str) else value


def plain_lines(text: str) -> str:
    """Some paragraphs as an event holds them: in NFC, lines that end alike, no controls."""
    return _CONTROLS.sub("", unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")).strip()


def plain_digits(text: str) -> str:
    """A number or a code as it is compared: full-width digits and spaces of every width as ASCII (NFKC, UAX 15), every
    kind of dash as a hyphen, and nothing that cannot be seen.
    """
    if text.isascii():
        return text.strip()
    return unicodedata.normalize("NFKC", _UNSEEN.sub("", text)).translate(_DASHES).strip()


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def is_personal_number(text: str) -> bool:
    """Whether a text reads as a Swedish personal or co-ordination number, in any of its written forms."""
    digits = text.strip().removeprefix("SE")
    if not _BORN.fullmatch(digits):
        return False
    return bool(personnummer.valid(digits) or personnummer.valid(re.sub(r"01$", "", digits)))


def reads_as_person(text: str) -> bool:
    """Whether a text is a personal number or is shaped like one, an interim number with letters in it too."""
    bare = re.sub(r"\s", "", plain_digits(text))
    return is_personal_number(bare) or _SHAPED.fullmatch(bare) is not None


def _not_personal(value: str) -> str:
    """A key may never be a personal number: keys stand in logs, URLs and metrics."""
    if is_personal_number(value):
        raise ValueError("reads as a personal number; ids must not be personal: use another id")
    return value


def _plausible(value: DateT) -> DateT:
    """Year 4000 and year 1 are slips of a date picker, not plans."""
    if not 1990 <= value.year <= 2100:
        raise ValueError("not a plausible year; use a year between 1990 and 2100")
    return value


web_pattern = r"^https://[^\u0000-\u0020\u007f-\u00a0\u2000-\u200f\u2028-\u202f\u3000]+$"
type_id_pattern = r"^[a-z0-9][a-z0-9_.-]*$"

OpenId = Annotated[str, StringConstraints(max_length=60, pattern=type_id_pattern)]
"""An id of the dialogue model (case type, stage, form, role): an open string, the model decides what exists."""
Key = Annotated[
    str, StringConstraints(min_length=1, max_length=100), BeforeValidator(_one_line), AfterValidator(_not_personal)
]
"""An id that somebody else gave: case id, workplace id, source. Never a personal number."""
CaseKey = Annotated[str, StringConstraints(max_length=210, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""municipality/source/case id. Without control characters: PostgreSQL holds no NUL, and would be asked for ever."""
OurId = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9._~-]+$")]
"""An id that we derived: letters, digits and `._~-` only."""
SubscriptionId = Annotated[OurId, AfterValidator(_not_personal)]
"""A subscription's: it stands where a workplace's id does, and like one is never a personal number."""
Line = Annotated[str, StringConstraints(max_length=200), BeforeValidator(_one_line)]
"""One line of text."""
Question = Annotated[str, StringConstraints(max_length=300), BeforeValidator(_one_line)]
"""The one question that is asked: one line, at most 300 characters."""
Title = Annotated[str, StringConstraints(min_length=1, max_length=160), BeforeValidator(_one_line)]
"""A case's title: one line, at most 160 characters."""
Text = Annotated[str, BeforeValidator(_lines), StringConstraints(max_length=4000)]
"""Some paragraphs of plain text."""
Municipality = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]
"""SCB's four-digit municipality code, such as 0162. Patterns spell out their letters: digits and blanks by class differ
from one dialect of regular expressions to the next, and the JSON Schema is read by many.
"""
WebAddress = Annotated[
    str,
    StringConstraints(max_length=500, pattern=web_pattern),
]
"""A public page, by https, without spaces and controls."""
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
Whole = BeforeValidator(_whole)
"""Stands last beside a whole number: `1.0` is one too (JSON Schema 2020-12, 4.2.3), where types are not converted."""
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16,64}$")]
Day = Annotated[date, AfterValidator(_plausible)]
"""A plausible calendar day."""
Moment = Annotated[AwareDatetime, AfterValidator(_plausible)]
"""A plausible moment with its offset from UTC."""
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Metres = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
"""Metres in SWEREF 99 TM (EPSG:3006)."""
Count = Annotated[int, Field(ge=0, le=2_000_000_000)]


class Value(BaseModel):
    """A frozen value. Unknown fields are refused at our doors; readers of topics pass `extra="ignore"`, so that a
    writer may add an optional field before its readers know it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(Value):
    """What every event says: whose it is, and whether it is made up."""

    municipality: Municipality
    synthetic: bool = False
    """True for the demo's invented companies and cases."""


class Basis(Value):
    """What a round was derived from, compared in this order. A lower basis never overwrites a higher one."""

    case_version: Count
    decision: Count = 0
    import_number: Count = 0
    subscription: Count = 0

    @property
    def order(self) -> tuple[int, int, int, int]:
        """The tuple that compares."""
        return self.case_version, self.decision, self.import_number, self.subscription


class IndustryCode(Value):
    """An industry code and the classification it belongs to; a code without its version is invalid."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=10)]
    version: Annotated[str, StringConstraints(pattern=r"^(2025|2007)$")]


def moment(text: str) -> datetime:
    """A moment from ISO 8601 text, for examples and tests."""
    return datetime.fromisoformat(text)
