"""The code in a letter on paper: typed by hand where a link cannot be followed, it opens the same answer page.

Twelve signs of Crockford's base 32, which has no letters that look like digits: a number of 32 bits and 28 bits of a
keyed BLAKE2b (RFC 7693) over it. That is short enough to type, and one in 2**60 to guess, or 2**28 for whoever knows a
number; numbers of letters are drawn so small for it. Old keys still open, as they do for links.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

NUMBER_BITS: Final = 32
_MAC_BITS: Final = 28
_LENGTH: Final = 12
_SIGNS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD: Final = str.maketrans({"O": "0", "I": "1", "L": "1"} | dict.fromkeys(" -–.\t", None))


def code(number: int, key: bytes) -> str:
    """The code of a letter's number, in three groups. Raises `ValueError` for a number that is none of a letter."""
    if not 0 <= number < 2**NUMBER_BITS:
        raise ValueError("a letter's number has at most 32 bits")
    value = number << _MAC_BITS | _mac(number, key)
    signs = "".join(_SIGNS[value >> shift & 31] for shift in range(55, -1, -5))
    return "-".join(signs[start : start + 4] for start in range(0, _LENGTH, 4))


def opened(typed: str, keys: Sequence[bytes]) -> tuple[int, bytes] | None:
    """The number in a code that one of these keys made, and that key; None for any other. Case, blanks, hyphens and the
    letters that look like digits do not matter.
    """
    signs = typed.strip().upper().translate(_MISREAD)
    if len(signs) != _LENGTH or any(sign not in _SIGNS for sign in signs):
        return None
    value = 0
    for sign in signs:
        value = value << 5 | _SIGNS.index(sign)
    number, proof = value >> _MAC_BITS, value & (2**_MAC_BITS - 1)
    matches = [key for key in keys if hmac.compare_digest(_bytes(_mac(number, key)), _bytes(proof))]
    return (number, matches[0]) if matches else None


def _mac(number: int, key: bytes) -> int:
    digest = hashlib.blake2b(number.to_bytes(8, "big"), key=key, digest_size=4, person=b"code").digest()
    return int.from_bytes(digest, "big") >> (32 - _MAC_BITS)


def _bytes(proof: int) -> bytes:
    return proof.to_bytes(4, "big")
