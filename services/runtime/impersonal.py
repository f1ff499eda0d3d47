"""What somebody says of why they did a thing is kept, and shown: who is written about must not stand in it."""

import re
from typing import Final

from schemas.types import is_personal_number

_LIKE_A_PERSON: Final = re.compile(r"(?<!\d)(?:\d\d)?\d{6}[-+]?\d{4}(?!\d)", re.ASCII)


def impersonal(text: str) -> str:
    """The text. Raises `ValueError` with what to do where it holds an address or a personal number."""
    if "@" in text or any(is_personal_number(digits) for digits in _LIKE_A_PERSON.findall(text)):
        raise ValueError("has an address or a personal number in it; say it without")
    return text
