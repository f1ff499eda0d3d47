"""Quoted-printable (RFC 2045 §6.7): lines of at most 76 signs in ASCII, which no relay has to encode again.

Each line is encoded by itself: the encoding of two texts of whole lines is that of the first and then of the second.
"""

import binascii
import re
from typing import Final

_BREAK: Final = re.compile(r"\r\n|\r|\n")


def quoted(text: str) -> bytes:
    """The text's bytes, its lines ended as on the wire."""
    lines = _BREAK.sub("\r\n", text) if "\r" in text else text.replace("\n", "\r\n")
    return binascii.b2a_qp(lines.encode(), quotetabs=False, istext=True)
