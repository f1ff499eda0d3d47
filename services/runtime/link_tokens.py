"""Tokens in links: a number and a proof that we made it, 22 characters, so that one link fits an SMS.

A token is eight bytes of number and eight of a keyed BLAKE2b (RFC 7693) over it, in base64url without padding. Its
purpose is part of the proof: an answer link does not open the stop page. Old keys still verify, since stop links never
expire; whether an answer link has expired is the page's to say, by the round that it is about.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from enum import Enum
from typing import Final

_LENGTH: Final = 22


class Purpose(Enum):
    """What a token opens."""

    ANSWER = b"answer"
    STOP = b"stop"
    RECEIPT = b"receipt"
    """A provider's door for the receipt of that message."""
    ANSWERS = b"answers"
    """A provider's door for what people write back; its number is nought."""


def mint(number: int, key: bytes, purpose: Purpose) -> str:
    """The token for a message's number (below 2**64)."""
    head = number.to_bytes(8, "big")
    return base64.urlsafe_b64encode(head + _mac(head, key, purpose)).decode().rstrip("=")


def verify(token: str, keys: Sequence[bytes], purpose: Purpose) -> int | None:
    """The number in a token that one of these keys made for this purpose, or None; equally slow for every wrong MAC."""
    if len(token) != _LENGTH or not token.isascii():
        return None
    try:
        data = base64.b64decode(token + "==", altchars=b"-_", validate=True)
    except ValueError:
        return None
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != token:
        return None  # the last character has spare bits: one message, one token
    matches = [hmac.compare_digest(data[8:], _mac(data[:8], key, purpose)) for key in keys]
    return int.from_bytes(data[:8], "big") if any(matches) else None


def _mac(head: bytes, key: bytes, purpose: Purpose) -> bytes:
    return hashlib.blake2b(head, key=key, digest_size=8, person=purpose.value).digest()
