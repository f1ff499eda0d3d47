"""One form of an address, so that equal addresses meet in the blind index whatever way they were written.

E-mail: Unicode NFC, case folded, the domain as IDNA A-labels (RFC 5890). Case in the local part may matter by RFC 5321
§2.4, but in no mailbox that a business has; the index folds it, the mail is sent as it was given.

Telephone: E.164, and Swedish mobile numbers alone (070, 072, 073, 076, 079 and what the numbering plan may add, as
libphonenumber follows it): a text to a landline is lost and paid for, one abroad may fail by that country's law on
senders.
"""

import unicodedata

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from schemas.contact import ContactChannel
from schemas.types import plain_digits
from services.runtime.errors import Rejected
from services.runtime.sealing import blind_index


def normal(channel: ContactChannel, address: str) -> tuple[str, str]:
    """The address to send to, and the form that is indexed. Raises `Rejected`, which never quotes the address."""
    if channel == "email":
        return _email(address)
    if channel == "sms":
        phone = mobile(address)
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
    # The library writes `Info` as `info`, since RFC 2142 names have no case; a mail goes to what was given.
    local = unicodedata.normalize("NFC", checked.original.rpartition("@")[0])
    return f"{local}@{domain}", f"{local}@{domain}".casefold()


def mobile(text: str, *, swedish: bool = False) -> str:
    """A Swedish mobile number in E.164. `swedish`: its source says that its numbers are Swedish, so that one that lost
    its first zero in a spreadsheet is known still; elsewhere it might be anything. Raises `Rejected`, which never
    quotes the number: `bad_address`, or `not_mobile` where it is a number of another kind or country.
    """
    text = plain_digits(text)
    try:
        number = phonenumbers.parse(text, "SE")
    except phonenumbers.NumberParseException:
        number = None
    begins = next((sign for sign in text if sign == "+" or sign.isdigit()), "")
    if number is None or not phonenumbers.is_valid_number(number) or not (swedish or begins in ("+", "0")):
        raise Rejected("bad_address", "not a telephone number; write it as +46…", "/sealed")
    of_sweden = phonenumbers.region_code_for_number(number) == "SE"
    if not of_sweden or phonenumbers.number_type(number) != phonenumbers.PhoneNumberType.MOBILE:
        raise Rejected("not_mobile", "only a Swedish mobile number takes our SMS; give another", "/sealed")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
