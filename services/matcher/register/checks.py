"""From a row of a register file to a workplace and its contacts, or to a refusal with a stable code.

Names are NFC (UAX 15); text that was decoded wrongly never becomes a mail. A place that is not one (`0;0`, empty,
`NULL`, `NaN`) is no place: the workplace is kept, counted, and found by municipality and codes only. An organisation
number that is a personal number, or is shaped like one (a mistyped digit makes it no other person's), leaves this
module as a keyed hash and in no other form. No message quotes a value.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from organisationsnummer import organisationsnummer
from pydantic import ValidationError

from schemas import geojson, industries
from schemas.company import MARKER_PREFIX, Company
from schemas.contact import ContactChannel
from schemas.identity import normal_organisation, recipient_id
from schemas.types import IndustryCode, is_personal_number
from services.matcher.municipalities import municipality_of
from services.matcher.register.formats import Row

NOTHING: Final = frozenset({"", "null", "nan", "none", "na", "n/a", "-"})
MOJIBAKE: Final = re.compile("\ufffd|Ã[\u0080-\u00bf]|Ã[…„–¶¤¥©–]|Â[\u00a0-\u00bf]")
STATUSES: Final[Mapping[str, str]] = {"": "active", "active": "active", "closed": "closed", "vacant": "vacant"}
TRUE: Final = frozenset({"1", "true", "yes", "ja", "j", "y"})
BIRTH_NUMBER: Final = re.compile(r"(\d{2})?\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01]|6[1-9]|[78]\d|9[01])[-+]?\w{4}")
"""A date of birth, that of a co-ordination number included (day + 60), and four signs more."""
SPACED_CODE: Final = re.compile(r"(?<!\S)(\d\d) (\d{3})(?!\S)")


@dataclass(frozen=True, repr=False)
class PlainContact:
    """A contact before it is sealed. It has no repr: nothing may print it."""

    recipient_id: str
    workplace_id: str
    channel: ContactChannel
    address: str
    source: str
    language: str


@dataclass(frozen=True)
class Accepted:
    """A workplace, its contacts, and what was left out of it, by code."""

    company: Company
    contacts: tuple[PlainContact, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """Why a row was refused. The detail says what to do and holds nothing personal."""

    line: int
    reason: str
    detail: str


class _Refusal(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Rules:
    """What an import is told: the installation's key, whether places may lie outside Sweden, the source's name."""

    key: bytes
    anywhere: bool = False
    source: str = "register"
    synthetic: bool = False


def check(row: Row, rules: Rules) -> Accepted | Refused:
    """A row as a workplace, or why not."""
    notes: list[str] = []
    try:
        company = _company(row.values, rules, notes)
        contacts = _contacts(row.values, company, notes)
    except _Refusal as refusal:
        return Refused(row.line, refusal.reason, refusal.detail)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        field = "/".join(str(part) for part in first["loc"])
        return Refused(row.line, "wrong_value", f"{field}: {first['msg'].removeprefix('Value error, ')}")
    return Accepted(company, contacts, tuple(notes))


def _company(values: Mapping[str, str], rules: Rules, notes: list[str]) -> Company:
    for name in ("name", "street", "town", "legal_form"):
        if MOJIBAKE.search(values.get(name, "")):
            raise _Refusal("wrong_encoding", f"{name}: was decoded wrongly somewhere; export the file anew as UTF-8")
    workplace_id = values["workplace_id"]
    if not workplace_id or workplace_id.startswith(MARKER_PREFIX):
        raise _Refusal("no_workplace_id", "workplace_id: is missing; give each workplace an id of its own")
    organisation = _organisation(values["organisation"])
    status = STATUSES.get(values.get("status", "").lower())
    if status is None:
        raise _Refusal("unknown_status", "status: is not active, closed or vacant; map it")
    lon, lat = _place(values, rules, notes)
    fields: dict[str, Any] = {
        "municipality": _municipality(values, lon, lat),
        "synthetic": rules.synthetic,
        "workplace_id": workplace_id,
        "recipient_id": recipient_id(organisation, rules.key),
        "organisation": None if _is_personal(organisation) else organisation,
        "name": values.get("name", ""),
        "lon": lon,
        "lat": lat,
        "sni": _codes(values, notes),
        "status": status,
        "employees": _employees(values.get("employees", "")),
        "advertising_block": values.get("advertising_block", "").lower() in TRUE,
        "language": values.get("language", "").lower() or "sv",
        "source": rules.source,
    }
    fields |= {name: values.get(name, "") for name in ("legal_form", "street", "postcode", "town")}
    return Company.model_validate(fields)


def _organisation(text: str) -> str:
    if text.lower() in NOTHING:
        raise _Refusal("no_organisation", "organisation: is missing; give a number, or any id that groups workplaces")
    organisation = normal_organisation(text)
    ten_digits = re.fullmatch(r"\d{10}", organisation) is not None
    # An organisation number's third digit is 2 or more; below that the ten digits are a birth date or somebody's id.
    if ten_digits and int(organisation[2]) >= 2 and not organisationsnummer.valid(organisation):
        raise _Refusal("wrong_check_digit", "organisation: the check digit does not fit; correct the number")
    return organisation


def _is_personal(organisation: str) -> bool:
    return is_personal_number(organisation) or BIRTH_NUMBER.fullmatch(re.sub(r"\s", "", organisation)) is not None


def _place(values: Mapping[str, str], rules: Rules, notes: list[str]) -> tuple[float | None, float | None]:
    lon, lat = _number(values.get("lon", "")), _number(values.get("lat", ""))
    if lon is None or lat is None or (lon == 0 and lat == 0):
        notes.append("without_place")
        return None, None
    if complaint := geojson.misplaced("", lon, lat, anywhere=rules.anywhere):
        raise _Refusal(complaint.code, f"lon, lat: {complaint.detail}")
    return lon, lat


def _number(text: str) -> float | None:
    if text.lower() in NOTHING:
        return None
    try:
        number = float(text.replace(" ", "").replace("\u00a0", "").replace(",", "."))
    except ValueError:
        raise _Refusal("not_a_number", "lon, lat: is not a number; write degrees such as 18.0300") from None
    return number if math.isfinite(number) else None


def _municipality(values: Mapping[str, str], lon: float | None, lat: float | None) -> str:
    given = values.get("municipality", "")
    if given:
        return given.zfill(4) if given.isdigit() else given
    found = municipality_of(lon, lat) if lon is not None and lat is not None else None
    if found is None:
        raise _Refusal("no_place", "has neither a place in Sweden nor a municipality; give one of them")
    return found


def _codes(values: Mapping[str, str], notes: list[str]) -> list[IndustryCode]:
    text = values["sni"]
    if text.lower() in NOTHING:
        notes.append("without_code")
        return []
    version = values["sni_version"].removesuffix(".0").upper().removeprefix("SNI").strip()
    if version not in industries.VERSIONS:
        raise _Refusal("no_sni_version", "sni_version: a code needs its version; write 2025 or 2007")
    joined = SPACED_CODE.sub(lambda spaced: _join_spaced(spaced, version), text)
    found = [_code(token, version) for token in re.split(r"[\s;|]+", joined) if token]
    return [IndustryCode(code=code, version=version) for code in dict.fromkeys(found)]


def _join_spaced(match: re.Match[str], version: str) -> str:
    """`01 110` is 01.110, not the two headings 01 and 110."""
    code = match[1] + match[2]
    return code if code in industries.leaves(version) else match[0]


@lru_cache(4096)
def _code(token: str, version: str) -> str:
    if token.isalpha():
        raise _Refusal("unknown_code", "sni: a section letter says too little; give at least the division")
    try:
        return industries.parse(token, version)
    except industries.UnknownCode as error:
        raise _Refusal("unknown_code", f"sni: {error}") from None


def _employees(text: str) -> int | None:
    digits = re.sub(r"[\s\u00a0]", "", text)
    if digits.lower() in NOTHING:
        return None
    if not digits.isdigit():
        raise _Refusal("not_a_number", "employees: is not a whole number; leave it empty if it is unknown")
    return int(digits)


def _contacts(values: Mapping[str, str], company: Company, notes: list[str]) -> tuple[PlainContact, ...]:
    """Addresses that could be used. One that could not is left out and counted: the workplace is still affected."""
    source = values.get("contact_source", "") or company.source
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
        PlainContact(company.recipient_id, company.workplace_id, channel, address, source, company.language)
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
    """A Swedish or foreign mobile number in E.164; others cannot take an SMS."""
    try:
        number = phonenumbers.parse(text, "SE")
    except phonenumbers.NumberParseException:
        return None, "bad_phone"
    if not phonenumbers.is_valid_number(number):
        return None, "bad_phone"
    kinds = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    if phonenumbers.number_type(number) not in kinds:
        return None, "phone_not_mobile"
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)), ""
