"""An envelope sender for each message (VERP), so that what comes back names the message whatever it is written like.

`studs+<number>.<proof>@kommun.example`: the message's number and a keyed BLAKE2b (RFC 7693) over it, each in lower-case
base32 (RFC 4648 §6), because relays on the way may fold case. The proof has a purpose of its own: what stands in an
envelope opens no page. The failure prevented is a forged bounce that silences whoever it names.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

_TOKEN: Final = re.compile(r"\+([a-z2-7]{13})\.([a-z2-7]{13})@", re.IGNORECASE)
_PURPOSE: Final = b"return path"


class ReturnPaths:
    """Makes them by the first key; what an older one made is known still. `mailbox` is where all of them arrive."""

    def __init__(self, mailbox: str, keys: Sequence[bytes]) -> None:
        self._local, _, self._domain = mailbox.rpartition("@")
        self._keys = keys

    def of(self, number: int) -> str:
        """The envelope sender of the message with this number (below 2**64)."""
        head = number.to_bytes(8, "big")
        return f"{self._local}+{_text(head)}.{_text(_proof(head, self._keys[0]))}@{self._domain}"

    def number_in(self, address: str) -> int | None:
        """The number in the first address that we made, or None; equally slow for every wrong proof."""
        found = _TOKEN.search(address)
        if found is None:
            return None
        head, proof = (base64.b32decode(f"{part.upper()}===") for part in found.groups())
        known = [hmac.compare_digest(proof, _proof(head, key)) for key in self._keys]
        return int.from_bytes(head, "big") if any(known) else None


def _proof(head: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(head, key=key, digest_size=8, person=_PURPOSE).digest()


def _text(data: bytes) -> str:
    return base64.b32encode(data).decode().lower().rstrip("=")
