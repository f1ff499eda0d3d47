"""From a row of a register file to a workplace and its contacts, or to a refusal with a stable code.

Names are NFC (UAX 15); text that was decoded wrongly never becomes a mail. A place that is not one (`0;0`, empty,
`NULL`, `NaN`) is no place: the workplace is kept, counted, and found by municipality and codes only. An organisation
number that is a personal number, or is shaped like one (a mistyped digit makes it no other person's), leaves this
module as a keyed hash and in no other form. No message quotes a value.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from email_validator import EmailNotValidError, validate_email
from organisationsnummer import organisationsnummer
from pydantic import ValidationError

from schemas import geojson, industries
from schemas.company import MARKER_PREFIX, Company
from schemas.contact import ContactChannel
from schemas.identity import normal_organisation, organisation_workplace, recipient_id
from schemas.types import IndustryCode, is_personal_number, plain_digits, reads_as_person, type_id_pattern
from services.matcher.municipalities import municipality_of
from services.matcher.register.places import NOWHERE, Place, number
from services.matcher.register.source import Row
from services.runtime.addresses import mobile
from services.runtime.errors import Rejected

BY_PROGRAMS: Final = frozenset(
    {"", "null", "(null)", "<null>", "nan", "-nan", "none", "#n/a", "\\n", "#value!", "#ref!", "#name?", "#null!"}
)
"""What programs write where there is nothing; no company is called so, and no street."""
NOTHING: Final = BY_PROGRAMS | {
    "nil", "inf", "-inf", "na", "n/a", "-", "--", "?", "okänd", "okänt", "saknas", "uppgift saknas", "ej angiven",
    "ej angivet",
}  # fmt: skip
"""What people write too."""
MOJIBAKE: Final = re.compile(
    "[\ufffd\x80-\x9f├┤]"
    "|Ã[\u0080-\u00bf…„–‰ƒ]|Â[\u00a0-\u00bf]|√[•§∂ÖÑñ©º]"  # UTF-8 read as Latin-1 or as Mac Roman
    "|(?<=[a-zåäöA-ZÅÄÖ])[„†‰™](?=[a-zåäö])"  # code page 850 or Mac Roman read as windows-1252
    "|&(?:[aAoOuU](?:uml|ring)|[eE](?:acute|grave)|amp|quot|#\\d{2,5});"  # escaped for HTML
)
STATUSES: Final[Mapping[str, str]] = {"": "active", "active": "active", "closed": "closed", "vacant": "vacant"}
TRUE: Final = frozenset({"1", "true", "yes", "ja", "j", "y", "t", "sant"})
FALSE: Final = frozenset({"0", "false", "no", "nej", "n", "f", "falskt"}) | NOTHING
LETTERED_CODE: Final = re.compile(r"(?<!\S)([A-Za-z]) (?=\d)")
SPACED_CODE: Final = re.compile(r"(?<!\S)(\d\d) (\d{3})(?!\S)")
BETWEEN_CODES: Final = re.compile(r"[\s;|/]+|,(?=\s|$)|(?<=\d{5}),|(?<=\.\d{3}),")
MUNICIPALITY: Final = re.compile(r"[0-9]{3,4}")
ZEROS: Final = re.compile(r"[0\s-]+")
FLOATED: Final = re.compile(r"(?<!\S)(\d+)[.,]0+(?!\S)")
"""What a spreadsheet or a table of numbers makes of a whole number."""
CODE_FLOATED: Final = re.compile(r"(?<!\S)(\d{4,5})[.,]0+(?!\S)")
SUBTAG: Final = re.compile(r"[-_].*")
"""What stands after the language in `sv-SE` (RFC 5646)."""
WORDS: Final = re.compile(r"[^\W\d_]{2}")
UNKNOWN_INDUSTRY: Final = "00000"
"""How SCB writes that the industry is not known."""
TEXTS: Final = ("name", "street", "town", "legal_form")
REGISTER_ROLE: Final = "register"
"""Of a contact whose file does not say what it is to the company."""
SCIENTIFIC: Final = re.compile(r"\d([.,]\d+)?[eE]\+?\d+")


@dataclass(frozen=True, repr=False, slots=True)
class PlainContact:
    """A contact before it is sealed. It has no repr: nothing may print it."""

    recipient_id: str
    workplace_id: str
    channel: ContactChannel
    address: str
    source: str
    language: str
    role: str


@dataclass(frozen=True)
class Accepted:
    """A workplace, its contacts, and what was left out of it, by code."""

    company: Company
    contacts: tuple[PlainContact, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """Why a row was refused. The detail says what to do and holds nothing personal; the row itself is for whoever has
    asked for a report of what to correct.
    """

    line: int
    reason: str
    detail: str
    field: str = ""
    values: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False, compare=False)


class _Refusal(Exception):
    def __init__(self, reason: str, field: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field
        self.detail = f"{field}: {remedy}"


@dataclass(frozen=True)
class Rules:
    """What an import is told: the installation's key, whether places may lie outside Sweden, the source's name; and
    what a mapping tells: that the rows are organisations, how many digits the codes have.
    """

    key: bytes
    anywhere: bool = False
    source: str = "register"
    synthetic: bool = False
    organisations: bool = False
    code_width: int | None = None


def check(row: Row, rules: Rules, place: Place | None = None) -> Accepted | Refused:
    """A row as a workplace, or why not. Without a place that was read before, `lon` and `lat` are degrees."""
    notes: list[str] = []
    try:
        company = _company(row.values, rules, notes, _degrees(row.values, rules) if place is None else place)
        contacts = _contacts(row.values, company, notes)
    except _Refusal as refusal:
        return Refused(row.line, refusal.reason, refusal.detail, refusal.field, row.values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = "/".join(str(part) for part in first["loc"])
        longest = first.get("ctx", {}).get("max_length")
        said = first["msg"].removeprefix("Value error, ")
        detail = f"{field}: {said if longest is None else f'is longer than {longest} characters; shorten it'}"
        return Refused(row.line, "wrong_value", detail, field.partition("/")[0], row.values)
    return Accepted(company, contacts, tuple(notes))


def _company(values: dict[str, str], rules: Rules, notes: list[str], place: Place) -> Company:
    for name in TEXTS:
        if MOJIBAKE.search(values.get(name, "")):
            raise _Refusal("wrong_encoding", name, "was decoded wrongly somewhere; export the file anew as UTF-8")
    values["workplace_id"] = _workplace_id(values.get("workplace_id", ""), rules)
    organisation = _organisation(values["organisation"])
    if not values.get("workplace_id"):
        values["workplace_id"] = organisation_workplace(organisation, rules.key)
    said = values.get("status", "").strip().lower()
    status = STATUSES.get("" if said in NOTHING else said)
    if status is None:
        raise _Refusal("unknown_status", "status", "is not active, closed or vacant; map it")
    if place.complaint is not None:
        raise _Refusal(place.complaint.code, "lon, lat", place.complaint.detail)
    if place.lon is None:
        notes.append("without_place")
    fields: dict[str, Any] = {
        "municipality": _municipality(values, place.lon, place.lat),
        "synthetic": rules.synthetic,
        "workplace_id": values["workplace_id"],
        "recipient_id": recipient_id(organisation, rules.key),
        "organisation": None if reads_as_person(organisation) else organisation,
        "name": _said(values, "name"),
        "lon": place.lon,
        "lat": place.lat,
        "sni": _codes(values, rules, notes),
        "status": status,
        "employees": _employees(values.get("employees", "")),
        "advertising_block": _truth(values.get("advertising_block", "")),
        "language": SUBTAG.sub("", _said(values, "language").lower()) or "sv",
        "source": rules.source,
        "postcode": FLOATED.sub(r"\1", _said(values, "postcode")),
    }
    fields |= {name: _said(values, name) for name in ("legal_form", "street", "town")}
    return Company.model_validate(fields)


def _said(values: Mapping[str, str], name: str) -> str:
    text = values.get(name, "")
    return "" if text.lower() in BY_PROGRAMS else text


def _workplace_id(text: str, rules: Rules) -> str:
    """The id as it stands, but for a spreadsheet's `.0`; "" where an organisation is its own workplace."""
    if text.lower() in NOTHING and rules.organisations:
        return ""
    if text.lower() in NOTHING or text.startswith(MARKER_PREFIX):
        raise _Refusal("no_workplace_id", "workplace_id", "is missing; give each workplace an id of its own")
    if SCIENTIFIC.fullmatch(text):
        raise _shortened("workplace_id")
    return FLOATED.sub(r"\1", text)


def _shortened(field: str) -> _Refusal:
    return _Refusal("lost_digits", field, "a spreadsheet shortened it; format the column as text and export anew")


def _organisation(text: str) -> str:
    """One form of what is written in many, a lost leading zero put back. All zeros stand for no number."""
    organisation = normal_organisation(text)
    if organisation.lower() in NOTHING or ZEROS.fullmatch(organisation):
        raise _Refusal("no_organisation", "organisation", "is missing; give a number, or any id that groups workplaces")
    if SCIENTIFIC.fullmatch(organisation):
        raise _shortened("organisation")
    if 7 <= len(organisation) <= 9 and organisation.isdecimal() and is_personal_number(organisation.zfill(10)):
        organisation = organisation.zfill(10)
    ten_digits = len(organisation) == 10 and organisation.isdecimal()
    # An organisation number's third digit is 2 or more; below that the ten digits are a birth date or somebody's id.
    if ten_digits and int(organisation[2]) >= 2 and not organisationsnummer.valid(organisation):
        raise _Refusal("wrong_check_digit", "organisation", "the check digit does not fit; correct the number")
    return organisation


def _degrees(values: Mapping[str, str], rules: Rules) -> Place:
    try:
        lon, lat = number(values.get("lon", ""), NOTHING), number(values.get("lat", ""), NOTHING)
    except ValueError:
        raise _Refusal("not_a_number", "lon, lat", "is not a number; write degrees such as 18.0300") from None
    if lon is None or lat is None or (lon == 0 and lat == 0):
        return NOWHERE
    complaint = geojson.misplaced("", lon, lat, anywhere=rules.anywhere)
    return Place(lon, lat) if complaint is None else Place(complaint=complaint)


def _municipality(values: Mapping[str, str], lon: float | None, lat: float | None) -> str:
    given = FLOATED.sub(r"\1", plain_digits(values.get("municipality", "")))
    if given.lower() not in NOTHING:
        if not MUNICIPALITY.fullmatch(given):
            raise _Refusal("wrong_value", "municipality", "is not SCB's code of four digits, such as 0162; map it")
        return given.zfill(4)
    found = municipality_of(lon, lat) if lon is not None and lat is not None else None
    if found is None:
        raise _Refusal(
            "no_place", "municipality",
            "the row has neither a place in Sweden nor a municipality; give one of them, or a constant in the mapping",
        )  # fmt: skip
    return found


def _truth(text: str) -> bool:
    said = text.lower().removesuffix(".0")
    if said in TRUE or said in FALSE:
        return said in TRUE
    raise _Refusal("wrong_value", "advertising_block", "is neither yes nor no; write 1 or 0, or map it")


def _codes(values: Mapping[str, str], rules: Rules, notes: list[str]) -> list[IndustryCode]:
    text = CODE_FLOATED.sub(r"\1", plain_digits(values["sni"]))
    if text.lower() in NOTHING or text == UNKNOWN_INDUSTRY:
        notes.append("without_code")
        return []
    version = FLOATED.sub(r"\1", plain_digits(values["sni_version"])).upper().removeprefix("SNI").strip(" -")
    if version not in industries.VERSIONS:
        raise _Refusal("no_sni_version", "sni_version", "a code needs its version; write 2025 or 2007")
    found = _codes_in(text, version, rules.code_width)
    if any(len(one.code) < 5 for one in found):
        notes.append("code_is_heading")
    return list(found)


@lru_cache(65_536)
def _codes_in(text: str, version: str, width: int | None) -> tuple[IndustryCode, ...]:
    """A whole country's workplaces have some tens of thousands of different lists of codes."""
    joined = SPACED_CODE.sub(lambda spaced: _join_spaced(spaced, version), LETTERED_CODE.sub(r"\1", text))
    found = [_code(token, version, width) for token in BETWEEN_CODES.split(joined) if token]
    return tuple(IndustryCode(code=code, version=version) for code in dict.fromkeys(found))


def _join_spaced(match: re.Match[str], version: str) -> str:
    """`01 110` is 01.110, not the two headings 01 and 110."""
    code = match[1] + match[2]
    return code if code in industries.leaves(version) else match[0]


@lru_cache(4096)
def _code(token: str, version: str, width: int | None) -> str:
    if len(token) == 1 and token.isalpha():
        raise _Refusal("unknown_code", "sni", "a section letter says too little; give at least the division")
    if SCIENTIFIC.fullmatch(token):
        raise _shortened("sni")
    if WORDS.search(token):
        raise _Refusal("unknown_code", "sni", "has words in it; give the codes only, with a space between")
    if width == 4 and len(token) == 4 and token.isdigit():
        token = f"{token[:2]}.{token[2:]}"  # a class, and no five digits that lost one
    try:
        return industries.parse(token, version)
    except industries.UnknownCode as error:
        raise _Refusal("unknown_code", "sni", str(error)) from None


def _employees(text: str) -> int | None:
    digits = FLOATED.sub(r"\1", re.sub(r"\s", "", plain_digits(text)))
    if digits.lower() in NOTHING:
        return None
    if not re.fullmatch("[0-9]{1,10}", digits):
        raise _Refusal("not_a_number", "employees", "is not a whole number; leave it empty if it is unknown")
    return int(digits)


def _contacts(values: Mapping[str, str], company: Company, notes: list[str]) -> tuple[PlainContact, ...]:
    """Addresses that could be used. One that could not is left out and counted: the workplace is still affected."""
    source = values.get("contact_source", "") or company.source
    role = values.get("contact_role", "").lower() or REGISTER_ROLE
    if not (re.fullmatch(type_id_pattern, role) and len(role) <= 60):
        notes.append("bad_contact_role")
        role = REGISTER_ROLE
    found: list[tuple[ContactChannel, str]] = []
    if (text := values.get("email", "")) and text.lower() not in NOTHING:
        if (email := _email(text)) is None:
            notes.append("bad_email")
        else:
            found.append(("email", email))
    if (text := values.get("phone", "")) and text.lower() not in NOTHING:
        mobile, note = _phone(text)
        if mobile is None:
            notes.append(note)
        else:
            found.append(("sms", mobile))
    return tuple(
        PlainContact(company.recipient_id, company.workplace_id, channel, address, source, company.language, role)
        for channel, address in found
    )


def _email(text: str) -> str | None:
    """The address as it was given, if it is one."""
    try:
        validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    return text


def _phone(text: str) -> tuple[str | None, str]:
    """A Swedish mobile number in E.164; others cannot take our SMS. A register's numbers are Swedish."""
    try:
        return mobile(text, swedish=True), ""
    except Rejected as error:
        return None, "phone_not_mobile" if error.reason == "not_mobile" else "bad_phone"
