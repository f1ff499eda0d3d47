"""Identity of messages: ids that derive, numbers that are drawn, tokens that only we can make.

A message id derives from (round, address, kind), so working twice gives the same message. Its number is random, because
it stands in links and must not be guessed or counted. A link token is the number and a keyed BLAKE2b MAC (RFC 7693)
over it, 16 bytes in base64url without padding: 22 characters, so that one link fits an SMS. Old keys still verify.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from schemas.identity import derived
from schemas.types import MessageId

_PURPOSE: Final = b"link"
_TOKEN_LENGTH: Final = 22


def message_id(round_id: str, address_index: str, kind: str) -> MessageId:
    """One first message, and one reminder, per round and address."""
    return MessageId(derived("message", round_id, address_index, kind))


def new_number() -> int:
    """A random number below 2**63, which both databases hold."""
    return secrets.randbits(63)


def mint(number: int, key: bytes) -> str:
    """The token that stands in a message's link."""
    head = number.to_bytes(8, "big")
    return base64.urlsafe_b64encode(head + _mac(head, key)).decode().rstrip("=")


def verify(token: str, keys: Sequence[bytes]) -> int | None:
    """The number in a token that one of these keys made, or None. Takes as long for every wrong MAC."""
    if len(token) != _TOKEN_LENGTH or not token.isascii():
        return None
    try:
        data = base64.b64decode(token + "==", altchars=b"-_", validate=True)
    except ValueError:
        return None
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != token:
        return None  # the last character has spare bits: one message, one token
    matches = [hmac.compare_digest(data[8:], _mac(data[:8], key)) for key in keys]
    return int.from_bytes(data[:8], "big") if any(matches) else None


def _mac(head: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(head, key=key, digest_size=8, person=_PURPOSE).digest()
