"""What somebody says of why they did a thing is kept, and shown: who is written about must not stand in it."""

import re
from typing import Final

import phonenumbers

from schemas.types import is_personal_number

_LIKE_A_PERSON: Final = re.compile(r"(?<!\d)(?:\d\d)?\d{6}[-+]?\d{4}(?!\d)", re.ASCII)


def impersonal(text: str) -> str:
    """The text. Raises `ValueError` with what to do where it holds an address, a mobile number or a personal
    number. A landline may be an office's.
    """
    if "@" in text or _has_mobile(text) or any(map(is_personal_number, _LIKE_A_PERSON.findall(text))):
        raise ValueError("has an address, a mobile number or a personal number in it; say it without")
    return text


def _has_mobile(text: str) -> bool:
    found = phonenumbers.PhoneNumberMatcher(text, "SE")
    return any(phonenumbers.number_type(one.number) == phonenumbers.PhoneNumberType.MOBILE for one in found)
