"""One form of an address, so that equal addresses meet in the blind index whatever way they were written.

E-mail: Unicode NFC, case folded, the domain as IDNA A-labels (RFC 5890). Case in the local part may matter by RFC 5321
§2.4, but in no mailbox that a business has; the index folds it, the mail is sent as it was given. Telephone: E.164.
"""

import unicodedata

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from schemas.contact import ContactChannel
from services.runtime.errors import Rejected
from services.runtime.sealing import blind_index


def normal(channel: ContactChannel, address: str) -> tuple[str, str]:
    """The address to send to, and the form that is indexed. Raises `Rejected`, which never quotes the address."""
    if channel == "email":
        return _email(address)
    if channel == "sms":
        phone = _phone(address)
        return phone, phone
    plain = " ".join(unicodedata.normalize("NFC", address).split())
    return plain, plain.casefold()


def index_of(channel: ContactChannel, address: str, index_key: bytes) -> str:
    """The blind index by which the ledger knows this address. Raises `Rejected`, which never quotes it."""
    return blind_index(index_key, channel, normal(channel, address)[1])


def _email(address: str) -> tuple[str, str]:
    try:
        checked = validate_email(
            address.strip(), check_deliverability=False, globally_deliverable=False, test_environment=True
        )
    except EmailNotValidError:
        raise Rejected("bad_address", "not an e-mail address; correct it in the source", "/sealed") from None
    domain = checked.ascii_domain or checked.domain
    return f"{checked.local_part}@{domain}", f"{checked.local_part}@{domain}".casefold()


def _phone(address: str) -> str:
    try:
        number = phonenumbers.parse(address, "SE")
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise Rejected("bad_address", "not a telephone number; write it as +46…", "/sealed")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
